"""Which slots take part in the next evaluation. Pure Python: no arrays, no device."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from sakuga.engine.runtime.seats import fits
from sakuga.engine.runtime.slot import Slot


@dataclass(frozen=True, eq=False)
class Batch:
    """One tick: slots of one latent size, which advance by one evaluation together."""

    latent: tuple[int, int]
    slots: tuple[Slot, ...]


class InOrder:
    """Pictures in order of arrival: the first one's size is the tick's, and those after it that
    have the same size join it while places and rows last.

    `places`: slots of a lane. `rows`: of one call, so of slots with the same number of chunks; a
    picture with more rows than that is alone.
    """

    def __init__(self, places: int, rows: int) -> None:
        self._places, self._rows = places, rows
        self._queue: deque[Slot] = deque()
        self._kept: tuple[Slot, ...] = ()  # the last tick's, while nothing has changed

    @property
    def waiting(self) -> bool:
        """Whether anything is left to do."""
        return bool(self._queue)

    def add(self, slot: Slot) -> None:
        """A new picture at the end of the queue."""
        self._queue.append(slot)
        self._kept = ()

    def discard(self, slot: Slot) -> None:
        """Forget a picture, wherever it stands."""
        if slot in self._queue:
            self._queue.remove(slot)
            self._kept = ()

    def next(self) -> Batch:
        """The next evaluation of the first picture and of all that can share it."""
        if not self._kept:
            self._kept = self._choose(self._queue[0].latent)
        return Batch(self._kept[0].latent, self._kept)

    def done(self, batch: Batch) -> list[Slot]:
        """Advance, and let go of pictures after their last evaluation."""
        finished = []
        for slot in batch.slots:
            slot.step += 1
            if slot.finished:
                self._queue.remove(slot)
                finished.append(slot)
        if finished:
            self._kept = ()
        return finished

    def limit(self, rows: int) -> None:
        """Fewer rows from now on."""
        self._rows, self._kept = rows, ()

    def _choose(self, latent: tuple[int, int]) -> tuple[Slot, ...]:
        chosen: list[Slot] = []
        for slot in self._queue:
            if len(chosen) == self._places:
                break
            if slot.latent == latent and (not chosen or fits((*chosen, slot), self._rows)):
                chosen.append(slot)
        free = set(range(self._places)) - {slot.place for slot in self._begun(latent)}
        for slot in chosen:
            if slot.place < 0:
                slot.place = min(free)
                free.remove(slot.place)
        return tuple(chosen)

    def _begun(self, latent: tuple[int, int]) -> Sequence[Slot]:
        return [slot for slot in self._queue if slot.place >= 0 and slot.latent == latent]
