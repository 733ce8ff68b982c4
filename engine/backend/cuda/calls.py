"""Runs of one network, bound and captured: a graph for each set of shapes and places.

The first run of a key is an ordinary one, which TensorRT wants before a capture; the second is
captured, and every later one is a single graph launch. The least recently used go when there are
too many.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from sakuga.engine.backend.cuda.driver import Driver, Graph, NotCapturedError, Stream
from sakuga.engine.backend.cuda.session import Arena, Binding, DeviceSession, Tensor

MAX_CALLS = 32  # each holds an execution context, and a graph of some thousand nodes

_LOG = logging.getLogger("sakuga")
Key = tuple[object, ...]  # of a lane's runs, the first is their size
MakeTensors = Callable[[], Mapping[str, Tensor]]
Padding = Literal["captured", "full", "none"]


@dataclass(eq=False)
class _Call:
    binding: Binding
    generation: int  # of the arena it is bound to
    runs: int = 0
    graph: Graph | None = None
    capturable: bool = True

    def close(self) -> None:
        if self.graph is not None:
            self.graph.close()
        self.binding.close()


class Calls:
    """The runs of a network on its stream; `load` loads it when it is first run, and again after
    `unload`. Without `graphs` every run is launched anew."""

    def __init__(
        self, driver: Driver, arena: Arena, load: Callable[[Stream], DeviceSession], graphs: bool
    ) -> None:
        self._driver, self.stream, self._arena = driver, arena.stream, arena
        self._load, self._graphs = load, graphs
        self._session: DeviceSession | None = None
        self._calls: OrderedDict[Key, _Call] = OrderedDict()

    def launch(self, key: Key, tensors: MakeTensors) -> None:
        """Put one run on the stream; `tensors` says, for a new key, what it works on."""
        call = self._call(key, tensors)
        call.runs += 1
        if call.runs >= 2 and call.graph is None and call.capturable:
            self._capture(call)
        if call.graph is not None:
            call.graph.launch(self.stream)
        else:
            call.binding.launch(self.stream)

    def prepare(self, key: Key, tensors: MakeTensors) -> None:
        """Bind a run without launching it, so that the arena holds what it needs."""
        self._call(key, tensors)

    def forget(self, these: Callable[[Key], bool] = lambda key: True) -> None:
        """Let go of the runs with these keys, of all by default."""
        self.stream.sync()
        for key in [key for key in self._calls if these(key)]:
            self._calls.pop(key).close()

    @property
    def loaded(self) -> bool:
        """Whether the network is in memory."""
        return self._session is not None

    def unload(self) -> None:
        """Let go of the network too."""
        if self._session is not None:
            self.forget()
            self._session.close()
            self._session = None

    def _loaded(self) -> DeviceSession:
        if self._session is None:
            self._session = self._load(self.stream)
        return self._session

    def _call(self, key: Key, tensors: MakeTensors) -> _Call:
        call = self._calls.get(key)
        if call is not None and call.generation == self._arena.generation:
            self._calls.move_to_end(key)
            return call
        if call is not None:
            return self._rebased(key, call)
        while len(self._calls) >= MAX_CALLS:
            self._drop(next(iter(self._calls)))
        binding = self._loaded().bind(tensors(), self._arena)
        capturable = self._graphs and binding.capturable
        self._calls[key] = call = _Call(binding, self._arena.generation, capturable=capturable)
        return call

    def _rebased(self, key: Key, call: _Call) -> _Call:
        """The same run on an arena that has moved; only its graph must be captured anew."""
        if call.graph is not None:
            self.stream.sync()
            call.graph.close()
            call.graph = None
        try:
            call.binding.rebase(self._arena)
        except Exception:
            self._drop(key)
            raise
        call.generation = self._arena.generation
        self._calls.move_to_end(key)
        return call

    def _capture(self, call: _Call) -> None:
        try:
            call.graph = self._driver.capture(self.stream, lambda: call.binding.launch(self.stream))
        except NotCapturedError as error:
            call.capturable = False
            _LOG.info("A network's run is not captured: %s", error)

    def _drop(self, key: Key) -> None:
        self.stream.sync()  # it may be at work
        self._calls.pop(key).close()


def padded_rows(rows: int, most: int, padding: Padding) -> int:
    """The rows of the call that is made for `rows` rows, `most` at most.

    `captured`: a count others have captured too. A row costs its full time whoever's it is, so
    these are close: all up to eight, then every second, then every fourth. `full`: always `most`,
    for kernels are chosen by a call's shape, and other kernels give other last bits. `none`: as
    they are.
    """
    if padding == "full":
        return most
    if padding == "none":
        return rows
    step = 1 if rows <= 8 else 2 if rows <= 16 else 4
    return min(-(-rows // step) * step, most)
