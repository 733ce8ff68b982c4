"""Rows of a picture: guidance as weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.runtime.request import Defaults, Request
from sakuga.engine.runtime.resolve import resolve
from sakuga.engine.runtime.settings import Settings
from sakuga.engine.runtime.slot import (
    Course,
    Slot,
    counts_negative,
    edited_steps,
    guidance_weights,
    row_sources,
)
from sakuga.engine.text.conditioning import Conditioning
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import SDXL_TINY

POSITIVE = Conditioning(np.ones((154, 96), np.float32), None)
OTHER = Conditioning(np.full((154, 96), 2, np.float32), None)
NEGATIVE = Conditioning(np.zeros((77, 96), np.float32), None)


def settings_of(guidance: float = 7.0, interval: tuple[float, float] | None = None) -> Settings:
    request = Request("", guidance=guidance, width=320, height=224, guidance_interval=interval)
    return resolve(request, SDXL_TINY, Defaults(Size(256, 256)), "epsilon")


def course(*conditionings: Conditioning, weight: float = 1.0) -> Course:
    """One that says something else at every evaluation, in turn."""
    count = settings_of().table.evaluations
    return Course(tuple(conditionings[step % len(conditionings)] for step in range(count)), weight)


@given(st.floats(0, 50).filter(lambda guidance: guidance != 1))  # 1 has no negative row
def test_weights_are_those_of_classifier_free_guidance(guidance: float) -> None:
    settings = settings_of(guidance=guidance)
    rows = row_sources(settings, [course(POSITIVE)], course(NEGATIVE))
    assert len(rows) == settings.table.evaluations
    assert all(row is rows[0] for row in rows)
    assert [row.conditioning for row in rows[0]] == [POSITIVE, NEGATIVE]
    positive, negative = (row.weight for row in rows[0])
    # e⁻ + g·(e⁺ − e⁻) for e⁺ = 5, e⁻ = 3
    assert positive * 5 + negative * 3 == pytest.approx(3 + guidance * (5 - 3))


def test_without_a_negative_prompt_one_row_counts_whole() -> None:
    (row,) = row_sources(settings_of(guidance=1.0), [course(POSITIVE)], None)[0]
    assert row.conditioning is POSITIVE and row.weight == 1.0


@given(st.floats(0, 20), st.lists(st.floats(-3, 3), min_size=1, max_size=7))
def test_prompts_between_ands_are_weighed(guidance: float, weights: list[float]) -> None:
    settings = settings_of(guidance=guidance)
    courses = [course(POSITIVE, weight=weight) for weight in weights]
    rows = row_sources(settings, courses, course(NEGATIVE))[0]
    # e⁻ + Σ wᵢ·g·(eᵢ − e⁻) for eᵢ = i, e⁻ = 3
    against = guidance_weights(weights, settings.guidances[0])[1]
    found = sum(row.weight * index for index, row in enumerate(rows[: len(weights)])) + against * 3
    terms = (weight * guidance * (index - 3) for index, weight in enumerate(weights))
    assert found == pytest.approx(3 + sum(terms), abs=1e-9)
    # A row that counts for nothing is not computed.
    assert [row.weight for row in rows[len(weights) :]] == ([against] if against else [])
    assert counts_negative(settings, weights) == bool(against)


def test_guidance_may_be_limited_to_a_part_of_the_way() -> None:
    settings = settings_of(guidance=5.0, interval=(0.25, 0.75))
    rows = row_sources(settings, [course(POSITIVE)], course(NEGATIVE))
    assert settings.guidances == (1.0,) * 7 + (5.0,) * 14 + (1.0,) * 7
    weights = [[row.weight for row in each] for each in rows]
    assert weights == [[1.0]] * 7 + [[5.0, -4.0]] * 14 + [[1.0]] * 7
    assert rows[0] is rows[-1] and rows[7] is rows[20]
    two = [course(POSITIVE, weight=0.5), course(OTHER, weight=0.25)]  # without guidance too
    assert [row.weight for row in row_sources(settings, two, course(NEGATIVE))[0]] == [
        0.5,
        0.25,
        0.25,
    ]


def test_rows_that_say_the_same_are_the_same() -> None:
    rows = row_sources(settings_of(), [course(POSITIVE, OTHER)], course(NEGATIVE))
    assert rows[0] is rows[2] and rows[1] is rows[3] and rows[0] is not rows[1]
    assert rows[0][1] is rows[1][1]  # the negative prompt's stays
    assert [row[0].conditioning for row in rows[:3]] == [POSITIVE, OTHER, POSITIVE]


def test_rows_know_their_length_in_chunks() -> None:
    rows = row_sources(settings_of(), [course(POSITIVE)], course(NEGATIVE))
    assert [row.chunks for row in rows[0]] == [2, 1]


@pytest.mark.parametrize(
    ("sampler", "expected"), [("Euler a", 28), ("Heun", 56), ("DPM2 a", 56), ("DPM++ 2M", 28)]
)
def test_samplers_of_second_order_count_twice(sampler: str, expected: int) -> None:
    request = Request("", sampler=sampler, steps=28)
    settings = resolve(request, SDXL_TINY, Defaults(Size(256, 256)), "epsilon")
    assert edited_steps(settings) == expected


def test_a_slot_knows_its_latent_and_its_end() -> None:
    rows = row_sources(settings_of(), [course(POSITIVE)], course(NEGATIVE))
    slot = Slot(0, settings_of(), lambda: rows)
    assert slot.latent == (28, 40)
    for _ in range(slot.settings.table.evaluations):
        assert not slot.finished
        assert slot.sources is slot.rows[slot.step]
        slot.step += 1
    assert slot.finished
