"""The policy of the loop, with neither arrays nor device."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.backend.base import ROWS_PER_SLOT
from sakuga.engine.runtime.batcher import OneAtATime, calls_of
from sakuga.engine.runtime.request import Defaults, Request, resolve
from sakuga.engine.runtime.slot import RowSource, Slot
from sakuga.engine.text.conditioning import Conditioning
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import CHUNK, SDXL_TINY

DEFAULTS = Defaults(size=Size(256, 256))


def source(chunks: int, weight: float = 1.0) -> RowSource:
    return RowSource(Conditioning(np.zeros((CHUNK * chunks, 96), np.float32), None), weight)


def slot_of(ticket: int, chunks: tuple[int, ...], steps: int = 3, place: int = -1) -> Slot:
    settings = resolve(Request("", steps=steps), SDXL_TINY, DEFAULTS, "epsilon")
    return Slot(ticket, settings, tuple(source(count) for count in chunks), place)


SLOTS = st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=2), min_size=1, max_size=8)


@given(SLOTS)
def test_every_row_is_in_one_call_with_rows_of_its_length(chunks: list[list[int]]) -> None:
    slots = [slot_of(n, tuple(counts), place=n) for n, counts in enumerate(chunks)]
    calls = calls_of(slots)
    lengths = [call.chunks for call in calls]
    assert lengths == sorted(set(lengths))
    rows = [row for call in calls for row in call.rows]
    assert sorted(rows) == [
        ROWS_PER_SLOT * slot.place + index for slot in slots for index in range(len(slot.sources))
    ]
    for call in calls:
        assert all(before < after for before, after in pairwise(call.rows))
        for row, one, slot in zip(call.rows, call.sources, call.slots, strict=True):
            place, index = divmod(row, ROWS_PER_SLOT)
            assert slot is slots[place] and one is slot.sources[index]
            assert one.chunks == call.chunks


def test_prompts_of_one_length_share_a_call() -> None:
    (call,) = calls_of([slot_of(0, (1, 1), place=0), slot_of(1, (1,), place=1)])
    assert call.rows == (0, 1, 2)


def test_a_long_prompt_beside_a_short_one_makes_two_calls() -> None:
    short, long = calls_of([slot_of(0, (2, 1), place=0)])
    assert (short.chunks, short.rows) == (1, (1,))
    assert (long.chunks, long.rows) == (2, (0,))


def test_each_row_has_the_timestep_of_its_slot() -> None:
    early, late = slot_of(0, (1, 1), place=0), slot_of(1, (1, 1), steps=5, place=1)
    late.step = 3
    (call,) = calls_of([early, late])
    first, last = (float(s.settings.table.timestep[s.step]) for s in (early, late))
    assert call.timesteps == (first, first, last, last)
    assert first == 999 and 0 < last < 500


def test_pictures_come_one_after_the_other() -> None:
    batcher = OneAtATime()
    assert not batcher.waiting
    slots = [slot_of(ticket, (1, 1), steps=ticket + 1) for ticket in range(3)]
    for slot in slots:
        batcher.add(slot)
    seen, finished = [], []
    while batcher.waiting:
        batch = batcher.next()
        assert len(batch.slots) == 1
        assert batch.started == (batch.slots if batch.slots[0].step == 0 else ())
        assert batch.latent == (32, 32)
        seen.append(batch.slots[0].ticket)
        finished += batcher.done(batch)
    assert seen == [0, 1, 1, 2, 2, 2]
    assert finished == slots
    assert all(slot.finished for slot in slots)


def test_a_picture_may_join_while_another_is_at_work() -> None:
    batcher = OneAtATime()
    batcher.add(slot_of(0, (1,), steps=2))
    assert batcher.done(batcher.next()) == []
    batcher.add(slot_of(1, (1,), steps=1))
    assert [slot.ticket for slot in batcher.done(batcher.next())] == [0]
    assert [slot.ticket for slot in batcher.done(batcher.next())] == [1]
    assert not batcher.waiting
