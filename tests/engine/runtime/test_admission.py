"""Limits, and counts that add up whatever threads do."""

import threading
from random import Random
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.errors import OverloadedError
from sakuga.engine.runtime.admission import Admission, Limits, Outcome, Statistics

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


def test_no_more_pictures_than_the_limit() -> None:
    admission = Admission(Limits(pictures=2))
    admission.admit(1.0)
    admission.admit(1.0)
    with pytest.raises(OverloadedError, match="2 pictures are on their way") as caught:
        admission.admit(1.0)
    assert caught.value.retry_after_s is None and caught.value.exit_code == 75
    admission.leave(1.0, "64x64", "completed")
    admission.admit(1.0)
    assert admission.statistics(0, 0).rejected == 1


def test_no_more_work_than_the_limit_but_one_picture_always() -> None:
    admission = Admission(Limits(megapixel_steps=30.0))
    admission.admit(100.0)
    with pytest.raises(OverloadedError, match=r"100\.0 megapixel-steps .* limit of 30"):
        admission.admit(1.0)
    admission.enter(50.0)  # who bounds itself is let in
    assert admission.statistics(0, 0).megapixel_steps == 150.0


def test_who_must_wait_learns_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("sakuga.engine.runtime.admission.monotonic", lambda: now[0])
    admission = Admission(Limits(megapixel_steps=40.0))
    for _ in range(4):
        admission.admit(10.0)
    for _ in range(3):  # ten a second
        now[0] += 1.0
        admission.leave(10.0, "64x64", "completed")
    admission.admit(20.0)
    with pytest.raises(OverloadedError) as caught:
        admission.admit(25.0)  # 30 are on their way, 15 too many
    assert caught.value.retry_after_s == pytest.approx(1.5)
    assert "1.5 s" in caught.value.note


@given(st.lists(st.sampled_from(OUTCOMES)), st.integers(0, 5))
def test_counts_add_up(outcomes: list[Outcome], more: int) -> None:
    admission = Admission(Limits())
    for _ in range(len(outcomes) + more):
        admission.admit(0.1)
    for outcome in outcomes:
        admission.leave(0.1, "64x96", outcome)
    found = admission.statistics(10, 15)
    assert found.accepted == found.completed + found.failed + found.cancelled + found.in_flight
    assert found.in_flight == more
    assert found.megapixel_steps == pytest.approx(0.1 * more)
    assert found.sizes == ({"64x96": found.completed} if found.completed else {})
    assert found.rows_per_evaluation == 1.5


def test_counts_add_up_at_any_moment() -> None:
    admission, seen = Admission(Limits(pictures=5)), list[Statistics]()

    def customer(seed: int) -> None:
        random = Random(seed)
        for _ in range(300):
            try:
                admission.admit(1.0)
            except OverloadedError:
                continue
            seen.append(admission.statistics(0, 0))
            outcome = random.choice(OUTCOMES)
            admission.leave(1.0, "64x64", outcome)

    threads = [threading.Thread(target=customer, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for found in seen:
        assert found.accepted == found.completed + found.failed + found.cancelled + found.in_flight
        assert 1 <= found.in_flight <= 5
    last = admission.statistics(0, 0)
    assert last.in_flight == 0 and last.megapixel_steps == 0
    assert last.accepted + last.rejected == 1200
