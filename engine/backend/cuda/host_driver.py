"""A GPU played by a processor: proves everything above the driver where there is no GPU.

Kernels are the CUDA sources compiled as C++. Work on a stream is put off until somebody waits for
it, as late as CUDA would ever run it, and memory given back is poisoned at once: what relies on an
order that no event demands, or reads memory too late, gives wrong pictures here every time, where
a GPU gives them once in a while. Needs a C++ compiler; for tests, not for users.
"""

import ctypes
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.backend.base import Session
from sakuga.engine.backend.cuda.driver import Buffer, Event, Graph, Launch, PinnedBuffer, Stream
from sakuga.engine.backend.cuda.session import Arena, Binding, Tensor
from sakuga.engine.errors import DeviceMemoryError
from sakuga.kernels.host_library import host_library
from sakuga.kernels.launcher import THREADS, Argument, Arguments

_ALIGNMENT = 256
_POISON = 0xFF  # NaN in every float type

_Work = Callable[[], object]


class HostDriver:
    """`memory_bytes`: what the GPU has; allocations beyond it fail as CUDA's do."""

    name = "a processor that plays a GPU"

    def __init__(self, memory_bytes: int = 1 << 40) -> None:
        self._library = host_library()
        self._lock = threading.RLock()
        self._free = memory_bytes
        self.launches: list[str] = []  # kernels and graphs put on streams, in order
        self.ran: list[str] = []  # kernels whose time has come
        self.waits = 0  # how often the host waited

    def allocate(self, size_bytes: int) -> Buffer:
        """Poisoned memory."""
        if size_bytes > self._free:
            raise DeviceMemoryError(
                "The GPU has too little memory free.", note=f"{size_bytes:,} bytes were asked for."
            )
        self._free -= size_bytes
        return _Memory(size_bytes, self._give_back)

    def allocate_pinned(self, size_bytes: int) -> PinnedBuffer:
        """Ordinary memory."""
        return _Memory(size_bytes, lambda size: None)

    def create_stream(self) -> Stream:
        """A queue of work."""
        return HostStream(self)

    def copy(self, stream: Stream, to: int, from_: int, size_bytes: int) -> None:
        """When its time comes."""
        _put(stream, lambda: ctypes.memmove(to, from_, size_bytes))

    def clear(self, stream: Stream, address: int, size_bytes: int) -> None:
        """When its time comes."""
        _put(stream, lambda: ctypes.memset(address, 0, size_bytes))

    def kernel(self, name: str, blocks: tuple[int, int], arguments: Sequence[Argument]) -> Launch:
        """The kernel as a C function; its arguments are copied when it is launched."""
        function = getattr(self._library, f"host_{name}")

        def launch(stream: Stream) -> None:
            kept = Arguments([np.array(argument) for argument in arguments])
            self.launches.append(name)
            address = ctypes.c_void_p(kept.addresses.ctypes.data)

            def run(kept: Arguments = kept) -> None:
                self.ran.append(name)
                function(*blocks, THREADS, address)

            _put(stream, run)

        return launch

    def capture(self, stream: Stream, work: Callable[[], None]) -> Graph:
        """The work as a list."""
        assert isinstance(stream, HostStream)
        captured: list[_Work] = []
        stream.captured = captured
        try:
            work()
        finally:
            stream.captured = None
        return _Graph(self, captured)

    def attach(self) -> None:
        """Every thread has the processor."""

    def free_bytes(self) -> int:
        """What is left."""
        return self._free

    def close(self) -> None:
        """Nothing to give back."""

    def _give_back(self, size_bytes: int) -> None:
        self._free += size_bytes

    def run(self, stream: "HostStream", until: int) -> None:
        """Do what is on a stream, up to its item number `until`."""
        with self._lock:
            while stream.done < until:
                stream.queue.popleft()()
                stream.done += 1


class HostStream:
    """Work in order, done when somebody waits for it."""

    def __init__(self, driver: HostDriver) -> None:
        self._driver = driver
        self.handle = id(self)
        self.queue: deque[_Work] = deque()
        self.captured: list[_Work] | None = None
        self.put_count = self.done = 0

    def put(self, work: _Work) -> None:
        """Add to the stream, or to the graph being captured."""
        if self.captured is not None:
            self.captured.append(work)
            return
        self.queue.append(work)
        self.put_count += 1

    def record(self) -> Event:
        """The moment after what is on it."""
        return _Event(self._driver, self, self.put_count)

    def wait(self, event: Event) -> None:
        """Do the other stream's part first."""
        assert isinstance(event, _Event)
        self.put(event.reach)

    def sync(self) -> None:
        """Do all of it now."""
        self._driver.waits += 1
        self._driver.run(self, self.put_count)


class _Event:
    def __init__(self, driver: HostDriver, stream: HostStream, at: int) -> None:
        self._driver, self._stream, self._at = driver, stream, at

    def reach(self) -> None:
        self._driver.run(self._stream, self._at)

    def sync(self) -> None:
        self._driver.waits += 1
        self.reach()


class _Memory:
    def __init__(self, size_bytes: int, give_back: Callable[[int], None]) -> None:
        room = np.full(size_bytes + _ALIGNMENT, _POISON, np.uint8)
        start = -room.ctypes.data % _ALIGNMENT
        self.bytes: NDArray[np.uint8] = room[start : start + size_bytes]
        self.address, self.size_bytes = self.bytes.ctypes.data, size_bytes
        self._give_back: Callable[[int], None] | None = give_back

    def close(self) -> None:
        if self._give_back is not None:
            self._give_back(self.size_bytes)
            self._give_back = None
            self.bytes[...] = _POISON  # the memory stays, so that a late reader reads poison


class _Graph:
    def __init__(self, driver: HostDriver, work: Sequence[_Work]) -> None:
        self._driver, self._work = driver, work

    def launch(self, stream: Stream) -> None:
        self._driver.launches.append("graph")
        for work in self._work:
            _put(stream, work)

    def close(self) -> None:
        self._work = []


class HostSession:
    """A network of ONNX Runtime's CPU provider, on buffers. `scratch_bytes`: of the arena it says
    it needs for each row, which it fills with poison as a network fills its activations."""

    def __init__(self, session: Session, scratch_bytes: int = 0) -> None:
        self._session, self._scratch_bytes = session, scratch_bytes

    def bind(self, tensors: Mapping[str, Tensor], arena: Arena) -> Binding:
        """Views of the buffers."""
        rows = max(tensor.shape[0] for tensor in tensors.values())
        assert all(tensor.address % _ALIGNMENT == 0 for tensor in tensors.values())
        views = {name: _view(tensor) for name, tensor in tensors.items()}

        def run(address: int, size_bytes: int) -> None:
            outputs = self._session.run(
                {name: view for name, view in views.items() if not tensors[name].output}
            )
            ctypes.memset(address, _POISON, size_bytes)
            for name, values in outputs.items():
                if name in views:
                    views[name][...] = values

        return _HostBinding(run, self._scratch_bytes * rows, arena)

    def close(self) -> None:
        """Nothing to give back."""


class _HostBinding:
    capturable = True

    def __init__(self, run: Callable[[int, int], None], size_bytes: int, arena: Arena) -> None:
        self._run, self._size_bytes = run, size_bytes
        self.rebase(arena)

    def rebase(self, arena: Arena) -> None:
        self._address = arena.reserve(self._size_bytes)

    def launch(self, stream: Stream) -> None:
        _put(stream, partial(self._run, self._address, self._size_bytes))

    def close(self) -> None:
        pass


def _view(tensor: Tensor) -> NDArray[np.generic]:
    size_bytes = int(np.prod(tensor.shape)) * tensor.dtype.itemsize
    memory = (ctypes.c_uint8 * size_bytes).from_address(tensor.address)
    view: NDArray[np.generic] = np.frombuffer(memoryview(memory), tensor.dtype).reshape(
        tensor.shape
    )
    return view


def _put(stream: Stream, work: _Work) -> None:
    assert isinstance(stream, HostStream)
    stream.put(work)
