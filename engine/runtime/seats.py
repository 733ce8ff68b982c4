"""Which row of a network call is whose: kept from step to step, moved only to close gaps.

Rows of prompts with k chunks have numbers from `GROUP·(k − 1)` on, and lie together there. A
slot that stays keeps its rows, so nothing need be written anew for it; where others leave, the
last rows move into the gaps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sakuga.engine.backend.base import GROUP, Block
from sakuga.engine.runtime.slot import RowSource, Slot
from sakuga.kernels.launch import Seat


class _Owner(NamedTuple):
    slot: Slot
    nth: int  # of the slot's rows
    source: RowSource


@dataclass(frozen=True, eq=False)
class Arrangement:
    """The rows of one tick. `seats` in the order of the slots; `blocks`: the calls they make.

    `told`: rows whose conditioning is new, as (row, source, slot). `moved`: places in `seats` of
    slots that have a new row.
    """

    seats: tuple[Seat, ...]
    blocks: tuple[Block, ...]
    told: tuple[tuple[int, RowSource, Slot], ...]
    moved: tuple[int, ...]


class Seats:
    """The rows of one lane."""

    def __init__(self) -> None:
        self._groups: dict[int, list[_Owner]] = {}  # by chunks, in order of rows
        self._last: Arrangement | None = None
        self._slots: tuple[tuple[Slot, tuple[RowSource, ...]], ...] = ()

    def arrange(self, slots: Sequence[Slot]) -> Arrangement:
        """Seat these slots and nobody else. Their rows must fit: see `fits`."""
        wanted = tuple((slot, slot.sources) for slot in slots)
        if self._last is not None and _same(wanted, self._slots):
            if self._last.told or self._last.moved:  # true of the first tick alone
                self._last = Arrangement(self._last.seats, self._last.blocks, (), ())
            return self._last
        self._slots = wanted
        before = {owner[:2]: (row, owner.source) for row, owner in self._rows()}
        self._reseat([_Owner(s, i, source) for s, all_ in wanted for i, source in enumerate(all_)])
        self._last = self._arrangement(slots, before)
        return self._last

    def _reseat(self, owners: Sequence[_Owner]) -> None:
        for chunks in {owner.source.chunks for owner in owners} | set(self._groups):
            here = {owner[:2]: owner for owner in owners if owner.source.chunks == chunks}
            rows = [here.pop(old[:2], None) for old in self._groups.get(chunks, [])]
            newcomers = list(here.values())
            for row, owner in enumerate(rows):
                if owner is None and newcomers:
                    rows[row] = newcomers.pop(0)
            kept = [*rows, *newcomers]
            while None in kept:
                last = kept.pop()
                if last is not None:
                    kept[kept.index(None)] = last
            assert len(kept) <= GROUP
            self._groups[chunks] = [owner for owner in kept if owner is not None]

    def _arrangement(
        self,
        slots: Sequence[Slot],
        before: dict[tuple[Slot, int], tuple[int, RowSource]],
    ) -> Arrangement:
        rows: dict[Slot, dict[int, int]] = {slot: {} for slot in slots}
        told, moved = [], set()
        for row, owner in self._rows():
            rows[owner.slot][owner.nth] = row
            was_row, was_source = before.get(owner[:2], (-1, None))
            if was_row != row:
                moved.add(owner.slot)
            if was_row != row or was_source is not owner.source:
                told.append((row, owner.source, owner.slot))
        seats = tuple(
            Seat(slot.place, tuple(rows[slot][index] for index in range(len(slot.sources))))
            for slot in slots
        )
        blocks = tuple(
            Block(chunks, GROUP * (chunks - 1), len(group))
            for chunks, group in sorted(self._groups.items())
            if group
        )
        places = tuple(at for at, slot in enumerate(slots) if slot in moved)
        return Arrangement(seats, blocks, tuple(told), places)

    def _rows(self) -> list[tuple[int, _Owner]]:
        return [
            (GROUP * (chunks - 1) + at, owner)
            for chunks, group in self._groups.items()
            for at, owner in enumerate(group)
        ]


def _same(
    wanted: tuple[tuple[Slot, tuple[RowSource, ...]], ...],
    before: tuple[tuple[Slot, tuple[RowSource, ...]], ...],
) -> bool:
    if len(wanted) != len(before):
        return False
    pairs = zip(wanted, before, strict=True)
    return all(a[0] is b[0] and a[1] is b[1] for a, b in pairs)


def fits(slots: Sequence[Slot], capacity: int) -> bool:
    """Whether the rows of these slots fit into one tick."""
    rows: dict[int, int] = {}
    for slot in slots:
        for source in slot.sources:
            rows[source.chunks] = rows.get(source.chunks, 0) + 1
    return all(count <= capacity for count in rows.values())
