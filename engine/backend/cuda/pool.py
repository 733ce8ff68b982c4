"""Buffers that come and go with pictures, kept for the next one of the same size.

Asking CUDA for memory, pinned memory above all, may wait for the GPU; a kept buffer never does.
"""

import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from sakuga.engine.backend.cuda.driver import Buffer, Driver

B = TypeVar("B", bound=Buffer)


def allocate_all(driver: Driver, sizes: Iterable[int]) -> list[Buffer]:
    """Buffers of these sizes in bytes, or none. Raises DeviceMemoryError."""
    buffers: list[Buffer] = []
    try:
        for size_bytes in sizes:
            buffers.append(driver.allocate(size_bytes))
    except Exception:
        for buffer in buffers:
            buffer.close()
        raise
    return buffers


class Pool(Generic[B]):
    """Buffers from `allocate`. Any thread may take and give; they are closed by `close` alone."""

    def __init__(self, allocate: Callable[[int], B]) -> None:
        self._allocate = allocate
        self._lock = threading.Lock()
        self._free: dict[int, list[B]] = {}

    def take(self, size_bytes: int) -> B:
        """A buffer of this size, contents unknown."""
        with self._lock:
            free = self._free.get(size_bytes)
            if free:
                return free.pop()
        return self._allocate(size_bytes)

    def give(self, buffer: B) -> None:
        """Take back a buffer that nothing works on any more."""
        with self._lock:
            self._free.setdefault(buffer.size_bytes, []).append(buffer)

    def close(self) -> None:
        """Close those that are here."""
        with self._lock:
            for free in self._free.values():
                for buffer in free:
                    buffer.close()
            self._free.clear()
