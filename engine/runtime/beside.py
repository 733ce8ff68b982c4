"""A thread beside the worker's, for what needs no device and shall keep no step waiting."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from sakuga.engine.errors import SakugaError
from sakuga.engine.runtime.outcomes import fail, resolve

T = TypeVar("T")


class Beside:
    """One thing after the other, until the end."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "sakuga-beside")
        self._ended: SakugaError | None = None

    def submit(self, work: Callable[[], T]) -> "Future[T]":
        """What the work returns, or what it raises; nothing of it once that is cancelled."""
        result: Future[T] = Future()

        def do() -> None:
            if self._ended is not None:
                fail(result, self._ended)
            elif not result.cancelled():
                resolve(result, work)

        self._thread.submit(do)
        return result

    def end(self, error: SakugaError) -> None:
        """What is at work is finished; what waits fails with this. Nobody waits for it here."""
        self._ended = error
        self._thread.shutdown(wait=False)
