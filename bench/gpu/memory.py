"""Device memory of a part: filled with random numbers, given back at the end."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from sakuga.engine.backend.base import Array
from sakuga.engine.backend.cuda.driver import Buffer, Driver, Stream
from sakuga.engine.backend.cuda.staging import Staging

_BLOCK = 1 << 20  # numbers drawn at once; longer buffers repeat them


class Memory:
    """Addresses that stay valid until the block of `memory` ends."""

    def __init__(self, driver: Driver, stream: Stream) -> None:
        self._driver, self._stream = driver, stream
        self._staging = Staging(driver, stream)
        self._random = np.random.default_rng(0)
        self._buffers: list[Buffer] = []

    def holding(self, array: Array) -> np.uint64:
        """The address of a copy of the array."""
        address = self._allocate(array.nbytes)
        self._staging.upload(address, array)
        return np.uint64(address)

    def normal(self, count: int, dtype: type[np.float16] | type[np.float32]) -> np.uint64:
        """The address of `count` normal numbers. Zeros would hide mistakes, and can be faster."""
        block = self._random.standard_normal(min(count, _BLOCK), np.float32).astype(dtype)
        address = self._allocate(count * block.itemsize)
        for start in range(0, count, _BLOCK):
            piece = block[: count - start]
            self._staging.upload(address + start * block.itemsize, piece)
        return np.uint64(address)

    def close(self) -> None:
        """Wait for the stream, then give everything back."""
        self._stream.sync()
        for buffer in self._buffers:
            buffer.close()
        self._staging.close()

    def _allocate(self, size_bytes: int) -> int:
        self._buffers.append(self._driver.allocate(size_bytes))
        return self._buffers[-1].address


@contextmanager
def memory(driver: Driver, stream: Stream) -> Iterator[Memory]:
    """Memory for the length of a block."""
    held = Memory(driver, stream)
    try:
        yield held
    finally:
        held.close()
