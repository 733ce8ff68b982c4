"""The policy of the loop, with neither arrays nor device."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from weakref import ref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.runtime.batcher import Batch, Batcher
from sakuga.engine.runtime.policy import POLICIES, Policy, ShortAhead, ShortestFirst, TakingTurns
from sakuga.engine.runtime.request import Defaults, Request
from sakuga.engine.runtime.resolve import resolve
from sakuga.engine.runtime.settings import Settings
from sakuga.engine.runtime.size_queue import SHARE, UnreadyError
from sakuga.engine.runtime.slot import RowSource, Slot
from sakuga.engine.text.conditioning import Conditioning
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import CHUNK, SDXL_TINY

DEFAULTS = Defaults(size=Size(256, 256))


def source(chunks: int, weight: float = 1.0) -> RowSource:
    return RowSource(Conditioning(np.zeros((CHUNK * chunks, 96), np.float32), None), weight)


def slot_of(
    ticket: int,
    chunks: tuple[int, ...] = (1, 1),
    steps: int = 3,
    side: int = 256,
    priority: int = 0,
    deadline: float | None = None,
) -> Slot:
    rows = (tuple(source(count) for count in chunks),) * steps
    return Slot(ticket, settings_of(steps, side), lambda: rows, priority, deadline)


@cache
def settings_of(steps: int, side: int) -> Settings:
    request = Request("", steps=steps, width=side, height=side)
    return resolve(request, SDXL_TINY, DEFAULTS, "epsilon")


def run(batcher: Batcher, slots: list[Slot]) -> tuple[list[list[int]], list[int]]:
    """The tickets of every tick, and of the finished pictures in their order."""
    for slot in slots:
        batcher.add(slot)
    seen, finished = [], []
    while batcher.waiting:
        batch = batcher.next()
        seen.append([slot.ticket for slot in batch.slots])
        finished += [slot.ticket for slot in batcher.done(batch)]
    return seen, finished


def test_one_place_is_one_picture_after_the_other() -> None:
    slots = [slot_of(ticket, steps=ticket + 1) for ticket in range(3)]
    seen, finished = run(Batcher(places=1, rows=63), slots)
    assert seen == [[0], [1], [1], [2], [2], [2]]
    assert finished == [0, 1, 2]
    assert all(slot.finished for slot in slots)


def test_pictures_of_one_size_share_ticks_and_are_joined_by_others() -> None:
    slots = [slot_of(0, steps=1), slot_of(1, steps=3), slot_of(2, steps=2), slot_of(3, steps=1)]
    seen, finished = run(Batcher(places=2, rows=63), slots)
    assert seen == [[0, 1], [1, 2], [1, 2], [3]]
    assert finished == [0, 1, 2, 3]


def test_rows_limit_a_tick() -> None:
    seen, _ = run(Batcher(places=8, rows=4), [slot_of(ticket, steps=1) for ticket in range(5)])
    assert seen == [[0, 1], [2, 3], [4]]
    # The rows of prompts of different lengths are in different calls.
    mixed = [slot_of(0, (1, 2), steps=1), slot_of(1, (1, 2), steps=1)]
    assert run(Batcher(places=8, rows=2), mixed)[0] == [[0, 1]]


def test_a_picture_with_too_many_rows_is_alone() -> None:
    seen, _ = run(Batcher(places=8, rows=1), [slot_of(0, steps=1), slot_of(1, steps=1)])
    assert seen == [[0], [1]]


def test_the_oldest_picture_decides_the_size() -> None:
    slots = [slot_of(0, steps=1), slot_of(1, steps=2, side=128), slot_of(2, steps=2)]
    seen, finished = run(Batcher(places=8, rows=63), slots)
    assert seen == [[0, 2], [1], [1], [2]]
    assert finished == [0, 1, 2]


def test_places_are_used_by_one_picture_at_a_time() -> None:
    batcher = Batcher(places=3, rows=63)
    slots = [
        slot_of(ticket, steps=1 + ticket % 3, side=128 + 128 * (ticket % 2)) for ticket in range(9)
    ]
    for slot in slots:
        batcher.add(slot)
    while batcher.waiting:
        batch = batcher.next()
        begun = [s for s in slots if s.place >= 0 and not s.finished and s.latent == batch.latent]
        places = [slot.place for slot in begun]
        assert len(set(places)) == len(places) and set(places) <= {0, 1, 2}
        assert set(batch.slots) <= set(begun)
        batcher.done(batch)


def test_a_discarded_picture_makes_room() -> None:
    batcher, slots = Batcher(places=1, rows=63), [slot_of(0), slot_of(1, steps=1)]
    for slot in slots:
        batcher.add(slot)
    batcher.done(batcher.next())
    batcher.discard(slots[0])
    batcher.discard(slots[0])  # no matter
    assert batcher.next().slots == (slots[1],) and slots[1].place == 0


def test_fewer_rows_from_now_on() -> None:
    batcher = Batcher(places=8, rows=8)
    for ticket in range(4):
        batcher.add(slot_of(ticket))
    assert len(batcher.next().slots) == 4
    batcher.limit(4)
    assert len(batcher.next().slots) == 2


def test_a_higher_priority_goes_first_in_the_middle_of_others() -> None:
    batcher = Batcher(places=1, rows=63)
    batcher.add(slot_of(0))
    batcher.done(batcher.next())
    batcher.add(slot_of(1, side=128))
    batcher.add(slot_of(2, side=128, priority=1))
    assert run(batcher, [])[0] == [[2], [2], [2], [0], [0], [1], [1], [1]]


def test_of_one_priority_the_earliest_deadline_goes_first() -> None:
    slots = [slot_of(0, steps=1), slot_of(1, steps=1, deadline=9.0), slot_of(2, steps=1)]
    slots += [slot_of(3, steps=1, deadline=5.0), slot_of(4, steps=1, priority=1)]
    assert run(Batcher(places=1, rows=63), slots)[1] == [4, 3, 1, 0, 2]


def test_pictures_past_their_deadline_are_given_up() -> None:
    batcher = Batcher(places=1, rows=63)
    early, late, done, gone = (slot_of(n, deadline=n + 1.0, steps=1) for n in range(4))
    for slot in (early, late, done, gone):
        batcher.add(slot)
    batcher.discard(gone)
    assert list(batcher.expired(0.5)) == []
    assert list(batcher.expired(2.0)) == [early, late]
    batcher.done(batcher.next())
    assert done.finished and not batcher.waiting
    assert list(batcher.expired(9.0)) == []


def test_pictures_done_before_their_deadline_are_let_go_of() -> None:
    batcher, gone = Batcher(places=2, rows=4), []
    for ticket in range(50):
        slot = slot_of(ticket, steps=1)
        slot.deadline = 1000.0 - ticket
        gone.append(ref(slot))
        batcher.add(slot)
        del slot
        batcher.done(batcher.next())
    assert sum(each() is not None for each in gone) < 10


def test_the_order_is_a_policy() -> None:
    def finished(policy: Policy) -> list[int]:
        slots = [slot_of(0, steps=5), slot_of(1, steps=2, side=128), slot_of(2, steps=1, side=192)]
        return run(Batcher(1, 63, policy), [*slots, slot_of(3, steps=4, side=128)])[1]

    assert finished(ShortestFirst()) == [1, 2, 3, 0]  # in pixels times steps
    assert finished(TakingTurns()) == [2, 1, 0, 3]


def test_who_is_done_sooner_is_let_ahead_of_a_few() -> None:
    """Four evaluations more are two places: the second goes ahead of the first, the third not."""
    slots = [slot_of(0, steps=5), slot_of(1, steps=1, side=128), slot_of(2, steps=1, side=192)]
    assert run(Batcher(1, 63, ShortAhead()), slots)[1] == [1, 0, 2]


def test_a_picture_that_cannot_be_made_ready_is_named() -> None:
    def fail() -> Sequence[object]:
        raise ValueError("no")

    batcher, bad = Batcher(places=2, rows=63), slot_of(0)
    bad.encode = fail  # type: ignore[assignment]
    batcher.add(bad)
    batcher.add(slot_of(1, steps=1))
    with pytest.raises(UnreadyError) as caught:
        batcher.next()
    assert caught.value.slot is bad and isinstance(caught.value.__cause__, ValueError)
    batcher.discard(bad)
    assert [slot.ticket for slot in batcher.next().slots] == [1]


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("side", [128, 256])
def test_nobody_starves(name: str, side: int) -> None:
    """One picture of low priority, of the others' size or another, and more of high priority than
    the device can do: it has one start in eight and one tick in eight."""
    batcher, numbers, steps = (
        Batcher(places=2, rows=4, policy=POLICIES[name]()),
        iter(range(9999)),
        4,
    )
    for _ in range(8):
        batcher.add(slot_of(next(numbers), steps=steps, priority=1))
    poor = slot_of(-1, steps=steps, side=side)
    batcher.add(poor)
    ticks = 0
    while not poor.finished:
        ticks += 1
        for _ in batcher.done(batcher.next()):
            batcher.add(slot_of(next(numbers), steps=steps, priority=1))
        # Eight older pictures have their eighth ticks first, then eight starts, then its own.
        assert ticks < SHARE * steps * (8 + SHARE + 2)


@st.composite
def crowds(draw: st.DrawFn) -> list[tuple[int, Slot]]:
    """Pictures and the ticks they come in."""
    kinds = st.tuples(
        st.integers(0, 12),
        st.lists(st.integers(1, 3), min_size=1, max_size=4),
        st.integers(1, 5),
        st.sampled_from([128, 192, 256]),
        st.integers(-1, 1),
        st.none() | st.integers(1, 40),
    )
    drawn = draw(st.lists(kinds, min_size=1, max_size=12))
    return [
        (tick, slot_of(n, tuple(chunks), steps, side, priority, deadline))
        for n, (tick, chunks, steps, side, priority, deadline) in enumerate(drawn)
    ]


@given(crowds(), st.sampled_from(sorted(POLICIES)), st.integers(1, 4), st.integers(1, 8))
def test_every_tick_keeps_the_rules(
    crowd: list[tuple[int, Slot]], name: str, places: int, rows: int
) -> None:
    batcher, now, given_up, finished = Batcher(places, rows, POLICIES[name]()), 0, set(), set()
    while crowd or batcher.waiting:
        for _, slot in [each for each in crowd if each[0] <= now]:
            batcher.add(slot)
        crowd = [each for each in crowd if each[0] > now]
        given_up |= {slot.ticket for slot in batcher.expired(now)}
        now += 1
        if batcher.waiting:
            batch = batcher.next()
            check_batch(batch, places, rows)
            finished |= {slot.ticket for slot in batcher.done(batch)}
    assert not finished & given_up and not batcher.waiting


def check_batch(batch: Batch, places: int, rows: int) -> None:
    assert batch.slots and {slot.latent for slot in batch.slots} == {batch.latent}
    taken = [slot.place for slot in batch.slots]
    assert len(set(taken)) == len(taken) and set(taken) <= set(range(places))
    used = Counter(source.chunks for slot in batch.slots for source in slot.sources)
    assert len(batch.slots) == 1 or max(used.values()) <= rows or len(batch.slots[0].sources) > rows
