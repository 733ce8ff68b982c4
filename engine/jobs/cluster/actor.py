"""What Ray starts on every slot: an engine, and the pictures of the batches it is handed.

A batch is a row of a Ray Dataset, and so is each outcome. Ray starts a process that died again and
hands it the batches that it had, for ever; the limits to that are here.
"""

import os
import pickle
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from time import sleep
from typing import Any

from sakuga.engine.engine import Engine
from sakuga.engine.errors import EngineFault, RenderError, SakugaError
from sakuga.engine.jobs.cluster.connection import ray_library
from sakuga.engine.jobs.cluster.node import open_here, read_there
from sakuga.engine.jobs.cluster.order import Order
from sakuga.engine.jobs.cluster.outcome import Broken, Made, PutOff, Told, Unmade, own_error
from sakuga.engine.jobs.cluster.pictures import Read, carried
from sakuga.engine.jobs.outcome import encoded
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.ticket import Ticket

Task = tuple[int, Request]  # the request's place among all

TRIES = 2  # of a batch in one go through all; then it is put off to the next
_AGAIN_S = 30.0  # until another process tries to open what could not be opened again


class Beginnings:
    """An actor that knows how often each batch was begun. One begun again was lost with a process,
    its own fault or another's that was with it."""

    def __init__(self) -> None:
        self._counts = Counter[int]()

    def begin(self, batch: int) -> int:
        """The how-manieth time this is."""
        self._counts[batch] += 1
        return self._counts[batch]


class EngineActor:
    """An engine on one slot of the cluster, called by several threads at once."""

    def __init__(self, order: Order, beginnings: Any) -> None:  # noqa: ANN401 (a Ray handle)
        self._beginnings, self._encoding = beginnings, order.options.encoding
        self._engine, self._read = _opened(order), read_there(order)

    def __call__(self, rows: Any) -> Iterator[Any]:  # noqa: ANN401 (Arrow tables)
        """A batch of one row to a row for each outcome."""
        import pyarrow  # pyright: ignore[reportMissingImports]

        try:
            for row in rows.to_pylist():
                for told in self._told(row["batch"], row["tasks"]):
                    data = pyarrow.array([pickle.dumps(told)], pyarrow.binary())
                    yield pyarrow.table({"told": data})
        except EngineFault as fault:  # the GPU answers this process no more; another it may
            print(fault, file=sys.stderr, flush=True)
            os._exit(1)

    def __del__(self) -> None:
        engine = getattr(self, "_engine", None)
        if isinstance(engine, Engine):  # what was compiled for a GPU is kept
            engine.close()

    def _told(self, batch: int, tasks: bytes) -> Iterator[Told]:
        if not isinstance(self._engine, Engine):
            yield Broken(socket.gethostname(), self._engine)
            return
        if ray_library().get(self._beginnings.begin.remote(batch)) > TRIES:
            yield PutOff()
            return
        here = [_submitted(self._engine, self._read, *task) for task in pickle.loads(tasks)]
        for asked in here:
            yield self._made(asked) if isinstance(asked, Ticket) else asked

    def _made(self, ticket: Ticket) -> Told:
        try:
            return Made(ticket.index, encoded(ticket.result(), self._encoding))
        except Exception as error:
            return _failed(ticket.index, error)


def _submitted(engine: Engine, read: Read, index: int, request: Request) -> Ticket | Told:
    try:
        return engine.submit(carried(request, read), index=index)
    except Exception as error:
        return _failed(index, error)


def _failed(index: int, error: Exception) -> Told:
    """What that means: for this picture, or for all that would be made here."""
    if isinstance(error, EngineFault):
        raise error
    own = own_error(error)
    if own is not None:
        return Unmade(index, own)
    if not isinstance(error, SakugaError):
        error = RenderError(f"An engine failed: {type(error).__name__}: {error}")
    return Broken(socket.gethostname(), error)


def _opened(order: Order) -> Engine | SakugaError:
    """The engine, or why there is none. A process that takes a dead one's place takes no batch
    before its engine is open, and tries until it is: a GPU may need a moment, or a person."""
    try:
        return open_here(order)
    except SakugaError as error:
        if not ray_library().get_runtime_context().was_current_actor_reconstructed:
            return error
        print(error, file=sys.stderr, flush=True)
        sleep(_AGAIN_S)
        os._exit(1)
