"""A picture that was asked for and is not there yet."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from sakuga.engine.backend.base import Pixels
from sakuga.engine.runtime.picture import Picture
from sakuga.engine.runtime.settings import Settings
from sakuga.engine.runtime.slot import Slot


@dataclass(frozen=True)
class Progress:
    """Evaluations done, of `total`. A picture with none done waits or has just begun. A detailer
    that finds more than one thing adds to the total."""

    done: int
    total: int


class Ticket:
    """Any thread may ask it. `index`: what the caller gave, told by the picture as well. `slots`:
    its passes so far; `future`: the picture."""

    def __init__(self, index: int, settings: Settings, result: "Future[Picture]") -> None:
        self.index, self.seed = index, settings.seed
        self.future, self.slots = result, list[Slot]()
        self._expected = settings.evaluations_in_all
        self._preview: Pixels | None = None

    @property
    def done(self) -> bool:
        """Whether there is a picture, an error, or nothing because it was cancelled."""
        return self.future.done()

    @property
    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self.future.cancelled()

    def result(self, timeout: float | None = None) -> Picture:
        """The picture, waited for; at most `timeout` seconds, which raises TimeoutError.

        Raises what kept it from being made: RenderError, DeadlineError, SakugaError where the
        engine was closed, EngineFault; CancelledError of concurrent.futures after `cancel`.
        """
        return self.future.result(timeout)

    def cancel(self) -> bool:
        """Take it off the device before its next evaluation; whether it was in time."""
        return self.future.cancel()

    def progress(self) -> Progress:
        """How far it is."""
        slots = list(self.slots)
        begun = sum(slot.settings.table.evaluations for slot in slots)
        return Progress(sum(slot.step for slot in slots), max(begun, self._expected))

    def preview(self) -> Pixels | None:
        """The newest preview, uint8 [height / 8, width / 8, 3]: what the network takes the picture
        for. None before the first, and where none were asked for."""
        return self._preview

    def add_done_callback(self, work: "Callable[[Ticket], None]") -> None:
        """Have `work(ticket)` called once it is done, on whatever thread; at once if it is."""
        self.future.add_done_callback(lambda _: work(self))

    def as_asyncio(self) -> "asyncio.Future[Picture]":
        """An awaitable of the running event loop. Cancelling it cancels the ticket."""
        return asyncio.wrap_future(self.future)

    def show(self, preview: Pixels) -> None:
        """Take a new preview."""
        self._preview = preview
