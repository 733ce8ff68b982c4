"""Schedules by name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.errors import UsageError
from sakuga.engine.sampling.noise_schedule import stable_diffusion_schedule
from sakuga.engine.sampling.schedules import SCHEDULES, make_schedule, schedule_name

NOISE = stable_diffusion_schedule()


@given(st.sampled_from(sorted(SCHEDULES)), st.integers(1, 1000))
def test_every_schedule_falls_to_zero_in_the_steps_asked(name: str, steps: int) -> None:
    schedule = make_schedule(name, NOISE, steps)
    assert schedule.starts.shape == schedule.ends.shape == schedule.timesteps.shape == (steps,)
    assert (np.diff(schedule.sigmas) <= 0).all()
    assert np.array_equal(schedule.starts[1:], schedule.ends[:-1])
    assert schedule.sigmas[-1] == 0
    assert schedule.sigmas[-2] >= NOISE.sigma_min * (1 - 1e-12)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        *((text, "karras") for text in ("Karras", "karras", "KARRAS")),
        *((text, "normal") for text in ("Uniform", "Normal", "normal")),
        *((text, "sgm_uniform") for text in ("SGM Uniform", "sgm_uniform", "SGMUniform")),
        *((text, None) for text in ("Automatic", "automatic")),
    ],
)
def test_spellings(spelling: str, name: str | None) -> None:
    assert schedule_name(spelling) == name


def test_no_two_schedules_share_a_spelling() -> None:
    for name, schedule in SCHEDULES.items():
        for text in (name, schedule.label, *schedule.spellings):
            assert schedule_name(text) == name


def test_an_unknown_schedule_names_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        schedule_name("karas")
    assert "Automatic, Normal, Karras" in caught.value.note
    assert caught.value.hint == "Did you mean 'Karras'?"
    with pytest.raises(UsageError) as caught:
        schedule_name("")
    assert caught.value.hint == ""
