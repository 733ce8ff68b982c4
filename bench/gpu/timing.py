"""How long the GPU takes: events on the stream around the work, or replays of a graph of it.

Warm up first, repeat, take the median (the samples are kept). Small work is chained in a graph, so
that what is timed is the GPU and not the host that feeds it.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Any, Protocol

from gpu.site import Scale
from sakuga.engine.backend.cuda.core_driver import CoreDriver
from sakuga.engine.backend.cuda.driver import Driver, Stream
from sakuga.kernels.cuda_packages import cuda_package
from sakuga.kernels.launcher import checked

Work = Callable[[], object]
_FEWEST, _ENOUGH_S = 5, 1.0  # samples of long work; seconds of them after which no more are taken


class Clock(Protocol):
    """Seconds between two moments on a stream."""

    def seconds(self, stream: Stream, work: Work) -> float:
        """Of what `work` puts on the stream; waits for its end."""
        ...


class EventClock:
    """CUDA's own events, which stand in the stream before and behind the work."""

    def __init__(self) -> None:
        self._driver = cuda_package("bindings.driver")
        self._events: list[Any] = [checked(self._driver.cuEventCreate, 0) for _ in range(2)]

    def seconds(self, stream: Stream, work: Work) -> float:
        """Resolution half a microsecond."""
        before, after = self._events
        checked(self._driver.cuEventRecord, before, stream.handle)
        work()
        checked(self._driver.cuEventRecord, after, stream.handle)
        checked(self._driver.cuEventSynchronize, after)
        return 1e-3 * float(checked(self._driver.cuEventElapsedTime, before, after))


class WallClock:
    """The host's clock, for drivers that are no GPU."""

    def seconds(self, stream: Stream, work: Work) -> float:
        """From an idle stream to an idle stream."""
        stream.sync()
        start = perf_counter()
        work()
        stream.sync()
        return perf_counter() - start


def clock_of(driver: Driver) -> Clock:
    """The clock that fits a driver, which is current on this thread."""
    return EventClock() if isinstance(driver, CoreDriver) else WallClock()


def timed(driver: Driver, stream: Stream, work: Work, scale: Scale) -> list[float]:
    """Seconds of each of `scale.repeats` runs; of fewer where each is long."""
    clock, seconds = clock_of(driver), list[float]()
    for _ in range(scale.warm):
        work()
    while len(seconds) < scale.repeats and (len(seconds) < _FEWEST or sum(seconds) < _ENOUGH_S):
        seconds.append(clock.seconds(stream, work))
    return seconds


def replayed(driver: Driver, stream: Stream, work: Work, scale: Scale) -> list[float]:
    """Seconds of one run of `work`, from graphs in which it stands `scale.chained` times."""
    work()  # compiles what must be compiled

    def chain() -> None:
        for _ in range(scale.chained):
            work()

    graph = driver.capture(stream, chain)
    try:
        whole = timed(driver, stream, lambda: graph.launch(stream), scale)
    finally:
        stream.sync()
        graph.close()
    return [seconds / scale.chained for seconds in whole]
