"""What the CUDA device asks of a driver: memory, streams, events, launches, graphs.

`CoreDriver` is a GPU. `HostDriver` plays one on a processor, so that everything above this seam
can be proved without a GPU.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sakuga.kernels.launcher import Argument

Launch = Callable[["Stream"], None]


class Buffer(Protocol):
    """Memory this process owns. Closing it twice is no error."""

    @property
    def address(self) -> int:
        """Where it begins, a multiple of 256."""
        ...

    @property
    def size_bytes(self) -> int:
        """How long it is."""
        ...

    def close(self) -> None:
        """Give it back."""
        ...


class PinnedBuffer(Buffer, Protocol):
    """Host memory that a GPU copies from and to by itself."""

    @property
    def bytes(self) -> NDArray[np.uint8]:
        """Its contents."""
        ...


class Event(Protocol):
    """A moment on a stream."""

    def sync(self) -> None:
        """Wait, on the host, until the stream has come there."""
        ...


class Stream(Protocol):
    """Work in order."""

    @property
    def handle(self) -> int:
        """The driver's own name of it."""
        ...

    def record(self) -> Event:
        """The moment after all that was put on it so far."""
        ...

    def wait(self, event: Event) -> None:
        """Let what is put on it from now on begin after another stream's event."""
        ...

    def sync(self) -> None:
        """Wait, on the host, for everything on it."""
        ...


class Graph(Protocol):
    """Captured work."""

    def launch(self, stream: Stream) -> None:
        """Put all of it on a stream."""
        ...

    def close(self) -> None:
        """Give it back."""
        ...


class NotCapturedError(Exception):
    """Work that cannot be a graph; it has not been run."""


class Driver(Protocol):
    """One GPU, current on the thread that made it.

    Raises DeviceMemoryError where memory runs out and EngineFault for what the GPU cannot recover
    from. Nothing waits for the GPU but what says `sync`.
    """

    @property
    def name(self) -> str:
        """The GPU's name."""
        ...

    def allocate(self, size_bytes: int) -> Buffer:
        """Device memory, contents unknown."""
        ...

    def allocate_pinned(self, size_bytes: int) -> PinnedBuffer:
        """Pinned host memory."""
        ...

    def create_stream(self) -> Stream:
        """A new stream."""
        ...

    def copy(self, stream: Stream, to: int, from_: int, size_bytes: int) -> None:
        """Copy between addresses of device and pinned memory."""
        ...

    def clear(self, stream: Stream, address: int, size_bytes: int) -> None:
        """Fill device memory with zeros."""
        ...

    def kernel(self, name: str, blocks: tuple[int, int], arguments: Sequence[Argument]) -> Launch:
        """A launch of one of our kernels, to be put on streams as often as wanted."""
        ...

    def capture(self, stream: Stream, work: Callable[[], None]) -> Graph:
        """What `work` puts on the stream, as a graph; it is not run. Raises NotCapturedError."""
        ...

    def attach(self) -> None:
        """Make the GPU current on the calling thread too."""
        ...

    def free_bytes(self) -> int:
        """Device memory nobody uses."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...
