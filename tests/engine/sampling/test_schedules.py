"""Noise levels against published values and against diffusers' schedulers."""

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_euler_ancestral_discrete import (
    EulerAncestralDiscreteScheduler,
)
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.errors import UsageError
from sakuga.engine.sampling.schedules import (
    SCHEDULES,
    make_schedule,
    stable_diffusion_schedule,
)

torch.set_num_threads(1)
# diffusers hands torch tensors to NumPy in a way NumPy means to drop.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
NOISE = stable_diffusion_schedule()

NORMAL_28 = [
    *(14.61464, 11.743406, 9.543582, 7.839883, 6.506398, 5.451792, 4.609174, 3.929106),
    *(3.374725, 2.918307, 2.538834, 2.220243, 1.950161, 1.718989, 1.519217, 1.344928),
    *(1.191419, 1.054916, 0.932358, 0.821221, 0.71938, 0.624977, 0.536293, 0.451564),
    *(0.368658, 0.284258, 0.190723, 0.029167, 0.0),
]


def test_the_trained_levels() -> None:
    assert NOISE.sigma_min == pytest.approx(0.0291672, rel=1e-5)
    assert NOISE.sigma_max == pytest.approx(14.614641, rel=1e-7)
    assert NOISE.alphas_cumprod[999] == pytest.approx(0.0046601, rel=1e-4)


def test_normal_at_28_steps() -> None:
    schedule = make_schedule("normal", NOISE, 28)
    np.testing.assert_allclose(schedule.sigmas, NORMAL_28, rtol=1e-5, atol=5e-7)
    assert np.array_equal(schedule.timesteps, np.arange(999, -1, -37))


def test_normal_at_25_steps_lies_between_trained_timesteps() -> None:
    np.testing.assert_allclose(np.diff(make_schedule("normal", NOISE, 25).timesteps), -41.625)


@pytest.mark.parametrize(
    ("name", "steps", "first", "last"),
    [
        ("leading", 28, [946, 911, 876, 841], [36, 1]),
        ("leading", 25, [961], [1]),
        ("trailing", 28, [999, 963, 928, 892], [70, 35]),
    ],
)
def test_known_timesteps(name: str, steps: int, first: list[int], last: list[int]) -> None:
    timesteps = make_schedule(name, NOISE, steps).timesteps
    assert timesteps[: len(first)].tolist() == first
    assert timesteps[-len(last) :].tolist() == last


@pytest.mark.parametrize(
    ("name", "steps", "first", "last"),
    [
        ("leading", 28, [10.72136, 8.8483, 7.37185], [0.1879, 0.04131, 0]),
        ("leading", 25, [11.67605], [0]),
        ("trailing", 28, [14.61464], [0.27481, 0.18505, 0]),
    ],
)
def test_known_sigmas(name: str, steps: int, first: list[float], last: list[float]) -> None:
    sigmas = make_schedule(name, NOISE, steps).sigmas
    np.testing.assert_allclose(sigmas[: len(first)], first, rtol=1e-6, atol=5e-6)
    np.testing.assert_allclose(sigmas[-len(last) :], last, rtol=1e-6, atol=5e-6)


def diffusers_schedule(spacing: str, steps: int) -> tuple[np.ndarray, np.ndarray]:
    scheduler = EulerAncestralDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        timestep_spacing=spacing,
        steps_offset=1,
    )
    scheduler.set_timesteps(steps)
    return scheduler.sigmas.numpy(), scheduler.timesteps.numpy()


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("steps", [1, 2, 7, 20, 25, 28, 48, 50, 100, 150, 999, 1000])
def test_equals_diffusers(spacing: str, steps: int) -> None:
    schedule = make_schedule(spacing, NOISE, steps)
    sigmas, timesteps = diffusers_schedule(spacing, steps)
    np.testing.assert_allclose(schedule.timesteps, timesteps, rtol=1e-6)
    np.testing.assert_allclose(schedule.sigmas, sigmas, rtol=2e-5)  # theirs are float32: 1 - ᾱ


def test_trailing_never_asks_for_the_timestep_before_the_first() -> None:
    """At 61 steps the reference's own rounding adds a 62nd step at t = -1."""
    assert len(diffusers_schedule("trailing", 61)[1]) == 62
    schedule = make_schedule("trailing", NOISE, 61)
    assert np.array_equal(schedule.timesteps, diffusers_schedule("trailing", 61)[1][:61])


@given(st.sampled_from(sorted(SCHEDULES)), st.integers(1, 1000))
def test_every_schedule_falls_to_zero_in_the_steps_asked(name: str, steps: int) -> None:
    schedule = make_schedule(name, NOISE, steps)
    assert schedule.sigmas.shape == (steps + 1,)
    assert schedule.timesteps.shape == (steps,)
    assert (np.diff(schedule.sigmas) <= 0).all()
    assert schedule.sigmas[-1] == 0
    assert NOISE.sigma_min <= schedule.sigmas[-2]


@given(st.floats(0, 999))
def test_timestep_is_the_inverse_of_sigma(timestep: float) -> None:
    back = NOISE.timestep(NOISE.sigma(np.array([timestep])))
    assert back[0] == pytest.approx(timestep, abs=1e-9)


def test_sigmas_beyond_the_trained_ones_are_clamped() -> None:
    assert NOISE.timestep(np.array([1e-4, 4518.76])).tolist() == [0, 999]
    assert NOISE.nearest_timestep(np.array([1e-4, 4518.76])).tolist() == [0, 999]


@pytest.mark.parametrize("steps", [1, 20, 25, 28, 30, 50, 150])
def test_nearest_timestep_is_the_argmin_over_log_sigma(steps: int) -> None:
    schedule = make_schedule("normal", NOISE, steps)
    log_sigma = torch.from_numpy(schedule.sigmas[:-1]).log()
    distances = log_sigma - torch.from_numpy(NOISE.log_sigmas)[:, None]
    expected = distances.abs().argmin(dim=0).numpy()
    halfway = np.abs(schedule.timesteps % 1 - 0.5) < 1e-6
    found = NOISE.nearest_timestep(schedule.sigmas[:-1])
    assert np.array_equal(found[~halfway], expected[~halfway])
    assert np.array_equal(found[halfway], np.floor(schedule.timesteps[halfway]))


@pytest.mark.parametrize("steps", [0, -3, 1001])
def test_impossible_step_counts(steps: int) -> None:
    with pytest.raises(UsageError, match=f"in {steps} steps"):
        make_schedule("normal", NOISE, steps)


def test_an_unknown_schedule_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="leading"):
        make_schedule("sgm_uniform", NOISE, 28)
