"""One engine process, seen from the HTTP process."""

import asyncio
import multiprocessing
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from sakuga.engine.serve.child import run_child
from sakuga.engine.serve.messages import FromEngine, Opening, ToEngine

_GRACE_S = 5.0  # for a process that was told to stop


class EngineProcess:
    """A process with an engine in it. `hear` gets its messages and `gone` its end, both on the
    event loop that made it."""

    def __init__(
        self,
        opening: Opening,
        hear: Callable[[FromEngine], None],
        gone: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._hear, self._gone = hear, gone
        context = multiprocessing.get_context("spawn")  # a fork would take the loop's threads along
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=run_child, args=(theirs, opening), name="sakuga-engine", daemon=True
        )
        self._process.start()
        theirs.close()
        threading.Thread(target=self._listen, name="sakuga-engine-messages", daemon=True).start()

    @property
    def pid(self) -> int | None:
        """Of the process."""
        return self._process.pid

    def send(self, message: ToEngine) -> None:
        """Tell it something; nobody may be there to hear."""
        with suppress(OSError, ValueError):
            self._connection.send(message)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    async def stop(self, message: ToEngine) -> None:
        """Tell it to stop, and see to it that it does."""
        self.send(message)
        await asyncio.to_thread(self._process.join, _GRACE_S)
        self._process.kill()
        await asyncio.to_thread(self._process.join)

    def _listen(self) -> None:
        with suppress(EOFError, OSError):
            while True:
                self._tell(partial(self._hear, self._connection.recv()))
        self._process.join(_GRACE_S)
        self._tell(self._gone)

    def _tell(self, work: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(work)
