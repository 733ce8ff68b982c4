"""Which slots take part in the next evaluation. Pure Python: no arrays, no device."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sakuga.engine.backend.base import ROWS_PER_SLOT
from sakuga.engine.runtime.slot import RowSource, Slot
from sakuga.profiles.networks import ROWS

_Row = tuple[int, int, RowSource, Slot]  # chunks, place in the lane, what makes it, whose it is


@dataclass(frozen=True)
class Call:
    """Rows of one network call: their places in the lane and what makes each of them."""

    chunks: int
    rows: tuple[int, ...]
    sources: tuple[RowSource, ...]
    timesteps: tuple[float, ...]
    slots: tuple[Slot, ...]


@dataclass(frozen=True)
class Batch:
    """One tick: slots of one latent size, and the calls their rows make.

    More than one call only where prompts differ in their number of chunks.
    """

    latent: tuple[int, int]
    started: tuple[Slot, ...]  # slots whose first latent is still to be made
    slots: tuple[Slot, ...]
    calls: tuple[Call, ...]


class Batcher(Protocol):
    """The policy of the loop."""

    @property
    def waiting(self) -> bool:
        """Whether anything is left to do."""
        ...

    def add(self, slot: Slot) -> None:
        """A new picture."""
        ...

    def next(self) -> Batch:
        """The next tick; only while `waiting`."""
        ...

    def done(self, batch: Batch) -> list[Slot]:
        """The tick has run; returns the slots it finished, whose places are free again."""
        ...


class OneAtATime:
    """The simplest policy: pictures in order of arrival, each alone."""

    def __init__(self, max_rows: int = ROWS.maximum) -> None:
        self._max_rows = max_rows
        self._queue: deque[Slot] = deque()

    @property
    def waiting(self) -> bool:
        """Whether anything is left to do."""
        return bool(self._queue)

    def add(self, slot: Slot) -> None:
        """A new picture at the end of the queue."""
        self._queue.append(slot)

    def next(self) -> Batch:
        """The first picture's next evaluation."""
        slot = self._queue[0]
        started = () if slot.step else (slot,)
        slot.place = 0
        return Batch(slot.latent, started, (slot,), calls_of((slot,), self._max_rows))

    def done(self, batch: Batch) -> list[Slot]:
        """Advance, and let go of the picture after its last evaluation."""
        (slot,) = batch.slots
        slot.step += 1
        return [self._queue.popleft()] if slot.finished else []


def calls_of(slots: Sequence[Slot], max_rows: int = ROWS.maximum) -> tuple[Call, ...]:
    """The rows of all slots, grouped by number of chunks, in the order of their places.

    No call has more than `max_rows` rows.
    """
    rows = [
        (source.chunks, ROWS_PER_SLOT * slot.place + index, source, slot)
        for slot in slots
        for index, source in enumerate(slot.sources)
    ]
    calls: list[Call] = []
    for chunks in sorted({chunk for chunk, *_ in rows}):
        group = [row for row in rows if row[0] == chunks]
        calls += [
            _call(chunks, group[start : start + max_rows])
            for start in range(0, len(group), max_rows)
        ]
    return tuple(calls)


def _call(chunks: int, rows: Sequence[_Row]) -> Call:
    return Call(
        chunks=chunks,
        rows=tuple(place for _, place, _, _ in rows),
        sources=tuple(source for _, _, source, _ in rows),
        timesteps=tuple(float(slot.settings.table.timestep[slot.step]) for *_, slot in rows),
        slots=tuple(slot for *_, slot in rows),
    )
