"""Work of the device's thread that takes long and pauses: one turn of it between two evaluations,
so that pictures go on meanwhile."""

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any, TypeVar

from sakuga.engine.errors import EngineFault, SakugaError
from sakuga.engine.runtime.outcomes import deliver, fail

T = TypeVar("T")
Pausing = Generator[object, None, T]


class Turns:
    """Everything that is under way; each has a turn before any has its next."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Pausing[Any], Future[Any]]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, begin: Callable[[], Pausing[T]], result: "Future[T]") -> None:
        """Take work in; it begins with its first turn."""
        self._waiting.append((_begun(begin), result))

    def take(self) -> None:
        """One turn of whatever has waited longest. Raises EngineFault, which its result has too."""
        steps, result = self._waiting.popleft()
        if result.cancelled():
            steps.close()
            return
        try:
            next(steps)
        except StopIteration as end:
            deliver(result, end.value)
        except BaseException as error:  # whoever waits for the result must learn of it
            fail(result, error)
            if isinstance(error, EngineFault):
                raise
        else:
            self._waiting.append((steps, result))

    def end(self, error: SakugaError) -> None:
        """No more turns."""
        while self._waiting:
            steps, result = self._waiting.popleft()
            steps.close()
            fail(result, error)


def _begun(begin: Callable[[], Pausing[T]]) -> Pausing[T]:
    return (yield from begin())
