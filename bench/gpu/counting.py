"""A driver that counts: every launch, copy and wait of the host passes through it.

    driver = CountingDriver(CoreDriver(gpu))
    device = CudaDevice(driver, networks, CountingLoader(load, driver.counts), options)

What is captured in a graph is put on no stream and is not counted; the graph's launches are.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from sakuga.engine.backend.cuda.driver import Buffer, Driver, Event, Graph, Launch, PinnedBuffer
from sakuga.engine.backend.cuda.driver import Stream as AnyStream
from sakuga.engine.backend.cuda.loading import Load, Loader
from sakuga.engine.backend.cuda.session import Arena, Binding, DeviceSession, Tensor
from sakuga.engine.upscaler_folder import UpscalerFolder
from sakuga.kernels.launcher import Argument


class Counts(Counter[str]):
    """`network`, `kernel NAME`, `copy`, `clear`, `wait`, `capture`, by how often."""

    capturing = False

    def see(self, what: str) -> None:
        """One more, unless it is only being captured."""
        if not self.capturing:
            self[what] += 1


class CountingDriver:
    """A `Driver` around another."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.name = driver.name
        self.counts = Counts()

    def allocate(self, size_bytes: int) -> Buffer:
        """As below."""
        return self._driver.allocate(size_bytes)

    def allocate_pinned(self, size_bytes: int) -> PinnedBuffer:
        """As below."""
        return self._driver.allocate_pinned(size_bytes)

    def create_stream(self) -> AnyStream:
        """A stream whose waits are counted."""
        return CountedStream(self._driver.create_stream(), self.counts)

    def copy(self, stream: AnyStream, to: int, from_: int, size_bytes: int) -> None:
        """Counted."""
        self.counts.see("copy")
        self._driver.copy(_inner(stream), to, from_, size_bytes)

    def clear(self, stream: AnyStream, address: int, size_bytes: int) -> None:
        """Counted."""
        self.counts.see("clear")
        self._driver.clear(_inner(stream), address, size_bytes)

    def kernel(self, name: str, blocks: tuple[int, int], arguments: Sequence[Argument]) -> Launch:
        """Every launch is counted."""
        put = self._driver.kernel(name, blocks, arguments)

        def launch(stream: AnyStream) -> None:
            self.counts.see(f"kernel {name}")
            put(_inner(stream))

        return launch

    def capture(self, stream: AnyStream, work: Callable[[], None]) -> Graph:
        """The graph is the network's: nothing else is captured."""
        self.counts["capture"] += 1
        self.counts.capturing = True
        try:
            return _CountedGraph(self._driver.capture(_inner(stream), work), self.counts)
        finally:
            self.counts.capturing = False

    def attach(self) -> None:
        """As below."""
        self._driver.attach()

    def free_bytes(self) -> int:
        """As below."""
        return self._driver.free_bytes()

    def close(self) -> None:
        """As below."""
        self._driver.close()


class CountedStream:
    """A stream around another."""

    def __init__(self, stream: AnyStream, counts: Counts) -> None:
        self.inner, self._counts = stream, counts
        self.handle = stream.handle

    def record(self) -> Event:
        """An event whose waits are counted."""
        return _CountedEvent(self.inner.record(), self._counts)

    def wait(self, event: Event) -> None:
        """The GPU's wait, not the host's."""
        assert isinstance(event, _CountedEvent)
        self.inner.wait(event.inner)

    def sync(self) -> None:
        """Counted."""
        self._counts.see("wait")
        self.inner.sync()


class _CountedEvent:
    def __init__(self, event: Event, counts: Counts) -> None:
        self.inner, self._counts = event, counts

    def sync(self) -> None:
        self._counts.see("wait")
        self.inner.sync()


class _CountedGraph:
    def __init__(self, graph: Graph, counts: Counts) -> None:
        self._graph, self._counts = graph, counts

    def launch(self, stream: AnyStream) -> None:
        self._counts.see("network")
        self._graph.launch(_inner(stream))

    def close(self) -> None:
        self._graph.close()


class CountingLoader:
    """A `Loader` around another: launches outside graphs are counted too."""

    def __init__(self, load: Loader, counts: Counts) -> None:
        self.name, self._load, self._counts = load.name, load, counts

    def __call__(self, name: str, stream: AnyStream) -> DeviceSession:
        """A session whose launches are counted."""
        return _CountedSession(self._load(name, _inner(stream)), self._counts)

    def upscaler(self, folder: UpscalerFolder) -> Load:
        """The same."""
        load = self._load.upscaler(folder)
        return lambda stream: _CountedSession(load(_inner(stream)), self._counts)

    def close(self) -> None:
        """As below."""
        self._load.close()


class _CountedSession:
    def __init__(self, session: DeviceSession, counts: Counts) -> None:
        self._session, self._counts = session, counts

    def bind(self, tensors: Mapping[str, Tensor], arena: Arena) -> Binding:
        return _CountedBinding(self._session.bind(tensors, arena), self._counts)

    def close(self) -> None:
        self._session.close()


class _CountedBinding:
    def __init__(self, binding: Binding, counts: Counts) -> None:
        self._binding, self._counts = binding, counts
        self.capturable = binding.capturable

    def rebase(self, arena: Arena) -> None:
        self._binding.rebase(arena)

    def launch(self, stream: AnyStream) -> None:
        self._counts.see("network")
        self._binding.launch(_inner(stream))

    def close(self) -> None:
        self._binding.close()


def _inner(stream: AnyStream) -> AnyStream:
    return stream.inner if isinstance(stream, CountedStream) else stream
