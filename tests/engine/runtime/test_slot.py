"""Rows of a picture: guidance as weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.runtime.request import Defaults, Request, Settings, resolve
from sakuga.engine.runtime.slot import Slot, row_sources
from sakuga.engine.text.conditioning import Conditioning
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import SDXL_TINY

POSITIVE = Conditioning(np.ones((154, 96), np.float32), None)
NEGATIVE = Conditioning(np.zeros((77, 96), np.float32), None)


def settings_of(**values: float) -> Settings:
    request = Request("", guidance=values.get("guidance", 7.0), width=320, height=224)
    return resolve(request, SDXL_TINY, Defaults(Size(256, 256)), "epsilon")


@given(st.floats(0, 50))
def test_weights_are_those_of_classifier_free_guidance(guidance: float) -> None:
    rows = row_sources(settings_of(guidance=guidance), POSITIVE, NEGATIVE)
    assert [row.conditioning for row in rows] == [POSITIVE, NEGATIVE]
    positive, negative = (row.weight for row in rows)
    # e⁻ + g·(e⁺ − e⁻) for e⁺ = 5, e⁻ = 3
    assert positive * 5 + negative * 3 == pytest.approx(3 + guidance * (5 - 3))


def test_without_a_negative_prompt_one_row_counts_whole() -> None:
    (row,) = row_sources(settings_of(guidance=1.0), POSITIVE, None)
    assert row.conditioning is POSITIVE and row.weight == 1.0


def test_rows_know_their_length_in_chunks() -> None:
    rows = row_sources(settings_of(), POSITIVE, NEGATIVE)
    assert [row.chunks for row in rows] == [2, 1]


def test_a_slot_knows_its_latent_and_its_end() -> None:
    slot = Slot(0, settings_of(), row_sources(settings_of(), POSITIVE, NEGATIVE))
    assert slot.latent == (28, 40)
    for _ in range(slot.settings.table.evaluations):
        assert not slot.finished
        slot.step += 1
    assert slot.finished
