"""diffusers' schedules against published values and against its schedulers as they are.

Their tables are float32: 1 − ᾱ loses digits in them. `solvers/test_against_diffusers.py` holds
the same in float64.
"""

from typing import Any

import numpy as np
import pytest
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_euler_ancestral_discrete import (
    EulerAncestralDiscreteScheduler,
)

from sakuga.engine.sampling.noise_schedule import stable_diffusion_schedule
from sakuga.engine.sampling.spacings import SPACINGS, ddim_levels, solver_levels, trailing

# diffusers hands torch tensors to NumPy in a way NumPy means to drop.
pytestmark = pytest.mark.filterwarnings("ignore:__array_:DeprecationWarning")
NOISE = stable_diffusion_schedule()


@pytest.mark.parametrize(
    ("name", "steps", "first", "last"),
    [
        ("leading", 28, [946, 911, 876, 841], [36, 1]),
        ("leading", 25, [961], [1]),
        ("trailing", 28, [999, 963, 928, 892], [70, 35]),
    ],
)
def test_known_timesteps(name: str, steps: int, first: list[int], last: list[int]) -> None:
    timesteps = SPACINGS[name](NOISE, steps).timesteps
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
    sigmas = SPACINGS[name](NOISE, steps).sigmas
    np.testing.assert_allclose(sigmas[: len(first)], first, rtol=1e-6, atol=5e-6)
    np.testing.assert_allclose(sigmas[-len(last) :], last, rtol=1e-6, atol=5e-6)


def test_known_timesteps_of_dpm_solver() -> None:
    even = solver_levels(NOISE, 25, "linspace", "linspace").timesteps.tolist()
    assert (even[:3], even[-2:]) == ([999, 959, 919], [80, 40])
    karras = solver_levels(NOISE, 25, "linspace", "karras").timesteps.tolist()
    assert (karras[:4], karras[-2:]) == ([999, 970, 938, 905], [1, 0])


def theirs(kind: Any, spacing: str, steps: int) -> Any:  # noqa: ANN401
    scheduler = kind(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        timestep_spacing=spacing,
        steps_offset=1,
    )
    scheduler.set_timesteps(steps)
    return scheduler


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("steps", [1, 2, 7, 20, 25, 28, 48, 50, 100, 150, 999, 1000])
def test_equals_euler_s(spacing: str, steps: int) -> None:
    schedule = SPACINGS[spacing](NOISE, steps)
    scheduler = theirs(EulerAncestralDiscreteScheduler, spacing, steps)
    np.testing.assert_allclose(schedule.timesteps, scheduler.timesteps.numpy(), rtol=1e-6)
    np.testing.assert_allclose(schedule.sigmas, scheduler.sigmas.numpy(), rtol=2e-5)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("steps", [1, 2, 7, 20, 25, 28, 48, 50, 100, 150, 999])
def test_equals_dpm_solver_s(spacing: str, steps: int) -> None:
    schedule = solver_levels(NOISE, steps, spacing, spacing)
    scheduler = theirs(DPMSolverMultistepScheduler, spacing, steps)
    np.testing.assert_array_equal(schedule.timesteps, scheduler.timesteps.numpy())
    np.testing.assert_allclose(schedule.sigmas, scheduler.sigmas.numpy(), rtol=2e-5)


def test_trailing_never_asks_for_the_timestep_before_the_first() -> None:
    """At 61 steps the reference's own rounding adds a 62nd step at t = -1."""
    reference = theirs(EulerAncestralDiscreteScheduler, "trailing", 61).timesteps.numpy()
    assert len(reference) == 62
    assert np.array_equal(trailing(NOISE, 61).timesteps, reference[:61])


def test_a_ddim_step_has_one_length() -> None:
    """⌊1000/28⌋ = 35, though "trailing" lays timesteps 35 or 36 apart."""
    schedule = ddim_levels(NOISE, 28, "trailing", "trailing")
    assert schedule.timesteps[:3].tolist() == [999, 963, 928]
    np.testing.assert_array_equal(schedule.ends[:2], NOISE.sigmas[[964, 928]])
    assert schedule.ends[-1] == NOISE.sigma_min
