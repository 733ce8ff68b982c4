"""A GPU that does nothing: what is left of a step is the host's own work.

Device memory is numbers, pinned memory is real, for the engine writes into it. Nothing takes any
time but the calls themselves, and nothing is computed: for measuring and counting alone.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.backend.cuda.driver import Buffer, Event, Graph, Launch, PinnedBuffer, Stream
from sakuga.engine.backend.cuda.loading import Load
from sakuga.engine.backend.cuda.session import Arena, Binding, DeviceSession, Tensor
from sakuga.engine.upscaler_folder import UpscalerFolder
from sakuga.kernels.launcher import Argument

_ALIGNMENT = 256


class NoOpDriver:
    """A `Driver` on which every operation succeeds at once."""

    name = "no GPU at all"

    def __init__(self) -> None:
        self._next = _ALIGNMENT

    def allocate(self, size_bytes: int) -> Buffer:
        """Addresses nobody used before."""
        address, self._next = self._next, self._next + -(-size_bytes // _ALIGNMENT) * _ALIGNMENT
        return _Memory(address, size_bytes)

    def allocate_pinned(self, size_bytes: int) -> PinnedBuffer:
        """Ordinary memory, all of it in place: page-locked memory is."""
        return _Pinned(size_bytes)

    def create_stream(self) -> Stream:
        """A stream on which everything is done."""
        return _Stream()

    def copy(self, stream: Stream, to: int, from_: int, size_bytes: int) -> None:
        """Nothing."""

    def clear(self, stream: Stream, address: int, size_bytes: int) -> None:
        """Nothing."""

    def kernel(self, name: str, blocks: tuple[int, int], arguments: Sequence[Argument]) -> Launch:
        """A launch that does nothing."""
        return _nothing

    def capture(self, stream: Stream, work: Callable[[], None]) -> Graph:
        """What the work does on the host is done now, as in a real capture."""
        work()
        return _Graph()

    def attach(self) -> None:
        """Nothing."""

    def free_bytes(self) -> int:
        """Enough."""
        return 1 << 40

    def close(self) -> None:
        """Nothing."""


class NoOpLoader:
    """A `Loader` of networks that answer nothing."""

    name = "nothing"

    def __call__(self, name: str, stream: Stream) -> DeviceSession:
        """The same for every name."""
        return NoOpSession()

    def upscaler(self, folder: UpscalerFolder) -> Load:
        """The same for every folder."""
        return lambda stream: NoOpSession()

    def close(self) -> None:
        """Nothing."""


class NoOpSession:
    """A network that answers nothing."""

    def bind(self, tensors: Mapping[str, Tensor], arena: Arena) -> Binding:
        """A run that does nothing."""
        return _Binding()

    def close(self) -> None:
        """Nothing."""


class _Memory:
    def __init__(self, address: int, size_bytes: int) -> None:
        self.address, self.size_bytes = address, size_bytes

    def close(self) -> None:
        pass


class _Pinned(_Memory):
    def __init__(self, size_bytes: int) -> None:
        self.bytes: NDArray[np.uint8] = np.full(size_bytes, 0, np.uint8)  # zeros would come lazily
        super().__init__(self.bytes.ctypes.data, size_bytes)


class _Event:
    def sync(self) -> None:
        pass


class _Stream:
    handle = 0

    def record(self) -> Event:
        return _Event()

    def wait(self, event: Event) -> None:
        pass

    def sync(self) -> None:
        pass


class _Graph:
    def launch(self, stream: Stream) -> None:
        pass

    def close(self) -> None:
        pass


class _Binding:
    capturable = True

    def rebase(self, arena: Arena) -> None:
        pass

    def launch(self, stream: Stream) -> None:
        pass

    def close(self) -> None:
        pass


def _nothing(stream: Stream) -> None:
    pass
