"""The way of host arrays to the GPU: copied into pinned memory, from there by the GPU itself.

Pageable memory would make CUDA wait for the stream before a copy of any size.
"""

import numpy as np

from sakuga.engine.backend.base import Array
from sakuga.engine.backend.cuda.driver import Driver, Event, Stream

_ALIGNMENT = 256
_HALF_BYTES = 8 << 20


class Staging:
    """Pinned memory in two halves: one is filled while the other's copies come to their end."""

    def __init__(self, driver: Driver, stream: Stream) -> None:
        self._driver, self._stream = driver, stream
        self._memory = driver.allocate_pinned(2 * _HALF_BYTES)
        self._sent: list[Event | None] = [None, None]
        self._half = self._at = 0

    def upload(self, to: int, array: Array) -> None:
        """Copy an array to a device address, in the order of the stream; it may change at once."""
        flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        for start in range(0, len(flat), _HALF_BYTES):
            self._piece(to + start, flat[start : start + _HALF_BYTES])

    def download(self, from_: int, size_bytes: int) -> Array:
        """Wait for the stream and copy from a device address: uint8 [size_bytes]."""
        pinned = self._driver.allocate_pinned(size_bytes)
        try:
            self._driver.copy(self._stream, pinned.address, from_, size_bytes)
            self._stream.sync()
            return pinned.bytes.copy()
        finally:
            pinned.close()

    def close(self) -> None:
        """Give the memory back."""
        self._stream.sync()
        self._memory.close()

    def _piece(self, to: int, piece: Array) -> None:
        if self._at + len(piece) > _HALF_BYTES:
            self._turn()
        at = self._half * _HALF_BYTES + self._at
        self._memory.bytes[at : at + len(piece)] = piece
        self._driver.copy(self._stream, to, self._memory.address + at, len(piece))
        self._at += -(-len(piece) // _ALIGNMENT) * _ALIGNMENT

    def _turn(self) -> None:
        self._sent[self._half] = self._stream.record()
        self._half, self._at = 1 - self._half, 0
        waiting = self._sent[self._half]
        if waiting is not None:
            waiting.sync()
