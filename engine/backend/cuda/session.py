"""The seam of networks on a GPU: a session is bound to tensors once and launched many times."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from sakuga.engine.backend.cuda.driver import Buffer, Driver, Stream


@dataclass(frozen=True)
class Tensor:
    """A borrowed view of device memory; `output`: the network writes it."""

    address: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    output: bool = False


class Arena:
    """Working memory that all networks of one stream share, for they never run at once.

    It grows to the largest need seen. When it moves, what was bound to it before is of no use:
    `generation` counts the moves.
    """

    def __init__(self, driver: Driver, stream: Stream) -> None:
        self._driver, self.stream = driver, stream
        self._buffer: Buffer | None = None
        self.generation = 0

    @property
    def size_bytes(self) -> int:
        """What it holds."""
        return 0 if self._buffer is None else self._buffer.size_bytes

    def reserve(self, size_bytes: int) -> int:
        """The address of at least this much. Raises DeviceMemoryError, leaving nothing held."""
        if size_bytes == 0:
            return 0
        if self._buffer is None or size_bytes > self.size_bytes:
            self.release()
            self._buffer = self._driver.allocate(size_bytes)
        return self._buffer.address

    def release(self) -> None:
        """Give it back, once nothing on the stream uses it."""
        if self._buffer is not None:
            self.stream.sync()
            self._buffer.close()
            self._buffer = None
            self.generation += 1


class Binding(Protocol):
    """A network with its tensors in place."""

    @property
    def capturable(self) -> bool:
        """Whether its runs can be captured in a graph."""
        ...

    def rebase(self, arena: Arena) -> None:
        """The arena has moved. Raises DeviceMemoryError where it cannot grow."""
        ...

    def launch(self, stream: Stream) -> None:
        """Put one run on the stream."""
        ...

    def close(self) -> None:
        """Give back what the binding holds; its tensors are not its own."""
        ...


class DeviceSession(Protocol):
    """One network, loaded on the GPU."""

    def bind(self, tensors: Mapping[str, Tensor], arena: Arena) -> Binding:
        """Ready to run on these tensors. Raises DeviceMemoryError where the arena cannot grow."""
        ...

    def close(self) -> None:
        """Unload it."""
        ...
