"""Rows lie together, one owner each, and stay where they are as long as they can."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.backend.base import GROUP, Block
from sakuga.engine.runtime.request import Defaults, Request
from sakuga.engine.runtime.resolve import resolve
from sakuga.engine.runtime.seats import Seats, fits
from sakuga.engine.runtime.slot import RowSource, Slot
from sakuga.engine.text.conditioning import Conditioning
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import CHUNK, SDXL_TINY

SETTINGS = resolve(Request(""), SDXL_TINY, Defaults(Size(256, 256)), "epsilon")


def slot_of(place: int, *chunks: int) -> Slot:
    sources = (
        RowSource(Conditioning(np.zeros((CHUNK * count, 8), np.float32), None), 1.0)
        for count in chunks
    )
    rows = (tuple(sources),) * SETTINGS.table.evaluations
    return Slot(place, SETTINGS, lambda: rows, place=place)


@given(
    st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=3), min_size=1, max_size=7),
    st.lists(st.sets(st.integers(0, 6), min_size=1), min_size=1, max_size=6),
)
def test_rows_are_a_seating_at_every_tick(chunks: list[list[int]], ticks: list[set[int]]) -> None:
    slots = [slot_of(place, *counts) for place, counts in enumerate(chunks)]
    seats, before = Seats(), dict[tuple[int, int], int]()
    for present in ticks:
        here = [slot for slot in slots if slot.place in present] or slots[:1]
        seated = seats.arrange(here)
        rows = {(seat.slot, nth): row for seat in seated.seats for nth, row in enumerate(seat.rows)}
        assert [seat.slot for seat in seated.seats] == [slot.place for slot in here]
        assert len(set(rows.values())) == len(rows)  # one owner each
        for slot, seat in zip(here, seated.seats, strict=True):
            groups = [1 + row // GROUP for row in seat.rows]
            assert groups == [source.chunks for source in slot.sources]
        lie = {
            row for block in seated.blocks for row in range(block.first, block.first + block.count)
        }
        assert lie == set(rows.values())  # and no gap
        assert all(block.first == GROUP * (block.chunks - 1) for block in seated.blocks)
        told = {row for row, *_ in seated.told}
        assert told == {row for key, row in rows.items() if before.get(key) != row}
        moved = {seated.seats[at].slot for at in seated.moved}
        assert moved == {
            place for (place, nth), row in rows.items() if before.get((place, nth)) != row
        }
        before = rows


def test_nothing_moves_while_nobody_comes_or_goes() -> None:
    seats, slots = Seats(), (slot_of(0, 1, 1), slot_of(1, 2, 1))
    first = seats.arrange(slots)
    assert len(first.told) == 4 and first.moved == (0, 1)
    again = seats.arrange(slots)
    assert (again.told, again.moved) == ((), ())
    assert again.seats == first.seats
    assert seats.arrange(slots) is again


def test_the_last_rows_close_the_gap() -> None:
    seats, slots = Seats(), [slot_of(place, 1, 1) for place in range(3)]
    seats.arrange(slots)
    after = seats.arrange(slots[1:])
    assert [seat.rows for seat in after.seats] == [(2, 3), (1, 0)]
    assert after.moved == (1,)
    assert after.blocks == (Block(1, 0, 4),)


def test_a_newcomer_takes_the_gap() -> None:
    seats, slots = Seats(), [slot_of(place, 1, 1) for place in range(4)]
    seats.arrange(slots[:3])
    after = seats.arrange([slots[0], slots[2], slots[3]])
    assert [seat.rows for seat in after.seats] == [(0, 1), (4, 5), (2, 3)]
    assert after.moved == (2,)


def test_a_row_is_told_of_new_conditioning_and_does_not_move() -> None:
    seats, slot = Seats(), slot_of(0, 1, 1)
    first, negative = slot.sources
    edited = slot_of(0, 1).sources[0]
    slot.rows = (slot.sources, (edited, negative), (edited, negative), (first, negative))
    told = []
    for step in range(4):
        slot.step = step
        seated = seats.arrange([slot])
        assert seated.moved == (() if step else (0,))
        told.append([(row, source) for row, source, _ in seated.told])
    assert told == [[(0, first), (1, negative)], [(0, edited)], [], [(0, first)]]


def test_what_fits_is_counted_by_length() -> None:
    assert fits([slot_of(0, 1, 2), slot_of(1, 1, 2)], 2)
    assert not fits([slot_of(0, 1, 1), slot_of(1, 1)], 2)
