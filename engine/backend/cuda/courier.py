"""What comes back from the GPU by itself: a thread waits for each copy and hands out what it is."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from sakuga.engine.backend.cuda.driver import Driver, Event

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Delivery(Generic[T]):
    """Copies on their way to pinned memory. `unpack` reads, once they have `arrived`, what the
    `results` are; `release` gives back the memory it is read from."""

    arrived: Event
    results: Sequence["Future[T]"]
    unpack: Callable[[], Sequence[T]]
    release: Callable[[], None]

    def hand_out(self) -> None:
        """Wait, then resolve every result; with the error, where anything fails."""
        try:
            self.arrived.sync()
            found = self.unpack()
        except Exception as error:  # for whoever waits for the results
            for result in self.results:
                result.set_exception(error)
        else:
            for result, value in zip(self.results, found, strict=True):
                result.set_result(value)
        self.release()


class Courier:
    """Deliveries in the order they are sent. `name`: of its thread."""

    def __init__(self, driver: Driver, name: str) -> None:
        self._driver = driver
        self._sent: SimpleQueue[Delivery[Any] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def send(self, delivery: Delivery[Any]) -> None:
        """Have it handed out; returns at once."""
        self._sent.put(delivery)

    def close(self) -> None:
        """Wait until all that was sent is handed out."""
        self._sent.put(None)
        self._thread.join()

    def _run(self) -> None:
        self._driver.attach()
        while (delivery := self._sent.get()) is not None:
            delivery.hand_out()
