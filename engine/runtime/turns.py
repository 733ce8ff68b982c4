"""Work of the device's thread that takes long and pauses: a turn of it between two evaluations, so
that pictures go on meanwhile."""

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import suppress
from time import monotonic
from typing import Any, TypeVar

from sakuga.engine.errors import EngineFault, SakugaError
from sakuga.engine.runtime.outcomes import deliver, fail

T = TypeVar("T")
Pausing = Generator[object, None, T]


class Turns:
    """All that waits. One is finished before the next begins, for each holds a whole picture and
    nobody has it earlier if two go on at once."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Pausing[Any], Future[Any]]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, begin: Callable[[], Pausing[T]], result: "Future[T]") -> None:
        """Take work in; it begins with its first turn."""
        self._waiting.append((_begun(begin), result))

    def take(self, seconds: float = 0.0) -> None:
        """The oldest's next turn: up to its next pause, or to the first after so many seconds.
        Raises EngineFault, which its result has too."""
        steps, result = self._waiting.popleft()
        end_at = monotonic() + seconds
        try:
            while not result.cancelled():
                next(steps)
                if monotonic() >= end_at:
                    self._waiting.appendleft((steps, result))
                    return
            _close(steps)
        except StopIteration as end:
            deliver(result, end.value)
        except BaseException as error:  # whoever waits for the result must learn of it
            fail(result, error)
            if isinstance(error, EngineFault):
                raise

    def end(self, error: SakugaError) -> None:
        """No more turns."""
        while self._waiting:
            steps, result = self._waiting.popleft()
            fail(result, error)
            _close(steps)


def _close(steps: Pausing[Any]) -> None:
    with suppress(Exception):  # nobody is left to hear of it
        steps.close()


def _begun(begin: Callable[[], Pausing[T]]) -> Pausing[T]:
    return (yield from begin())
