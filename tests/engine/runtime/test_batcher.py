"""The policy of the loop, with neither arrays nor device."""

import numpy as np

from sakuga.engine.runtime.batcher import Batcher
from sakuga.engine.runtime.request import Defaults, Request, resolve
from sakuga.engine.runtime.slot import RowSource, Slot
from sakuga.engine.text.conditioning import Conditioning
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import CHUNK, SDXL_TINY

DEFAULTS = Defaults(size=Size(256, 256))


def source(chunks: int, weight: float = 1.0) -> RowSource:
    return RowSource(Conditioning(np.zeros((CHUNK * chunks, 96), np.float32), None), weight)


def slot_of(ticket: int, chunks: tuple[int, ...] = (1, 1), steps: int = 3, side: int = 256) -> Slot:
    request = Request("", steps=steps, width=side, height=side)
    settings = resolve(request, SDXL_TINY, DEFAULTS, "epsilon")
    rows = (tuple(source(count) for count in chunks),) * steps
    return Slot(ticket, settings, lambda: rows)


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
