"""The levels of A1111's and ComfyUI's schedules against published values."""

import numpy as np
import pytest

from sakuga.engine.sampling.levels import (
    exponential,
    karras,
    normal,
    sgm_uniform,
    simple,
    without_penultimate,
)
from sakuga.engine.sampling.noise_schedule import stable_diffusion_schedule

NOISE = stable_diffusion_schedule()

NORMAL_28 = [
    *(14.61464, 11.743406, 9.543582, 7.839883, 6.506398, 5.451792, 4.609174, 3.929106),
    *(3.374725, 2.918307, 2.538834, 2.220243, 1.950161, 1.718989, 1.519217, 1.344928),
    *(1.191419, 1.054916, 0.932358, 0.821221, 0.71938, 0.624977, 0.536293, 0.451564),
    *(0.368658, 0.284258, 0.190723, 0.029167, 0.0),
]
KARRAS_28 = [
    *(14.614643, 12.525235, 10.697277, 9.102929, 7.716756, 6.515592, 5.478392, 4.586059),
    *(3.821324, 3.168605, 2.613878, 2.144568, 1.749418, 1.418393, 1.142577, 0.914073),
    *(0.725913, 0.57198, 0.446918, 0.346067, 0.265387, 0.201398, 0.151117, 0.112004),
    *(0.08191, 0.059031, 0.041864, 0.029167, 0.0),
]


def test_normal_at_28_steps() -> None:
    schedule = normal(NOISE, 28)
    np.testing.assert_allclose(schedule.sigmas, NORMAL_28, rtol=1e-5, atol=5e-7)
    assert np.array_equal(schedule.timesteps, np.arange(999, -1, -37))


def test_normal_at_25_steps_lies_between_trained_timesteps() -> None:
    np.testing.assert_allclose(np.diff(normal(NOISE, 25).timesteps), -41.625)


def test_karras_at_28_steps() -> None:
    schedule = karras(NOISE, 28)
    np.testing.assert_allclose(schedule.sigmas, KARRAS_28, rtol=1e-6, atol=5e-7)
    np.testing.assert_allclose(NOISE.sigma(schedule.timesteps), schedule.starts, rtol=1e-9)


def test_exponential_falls_by_one_ratio() -> None:
    sigmas = exponential(NOISE, 28).starts
    np.testing.assert_allclose(sigmas[1:] / sigmas[:-1], sigmas[1] / sigmas[0])
    assert (sigmas[0], sigmas[-1]) == pytest.approx((NOISE.sigma_max, NOISE.sigma_min))


def test_sgm_uniform_is_normal_without_its_lowest_level() -> None:
    np.testing.assert_array_equal(sgm_uniform(NOISE, 28).starts, normal(NOISE, 29).starts[:-1])
    assert sgm_uniform(NOISE, 1).timesteps.tolist() == [999]


def test_simple_takes_trained_levels_alone() -> None:
    schedule = simple(NOISE, 28)
    assert schedule.timesteps[:4].tolist() == [999, 964, 928, 892]
    assert schedule.timesteps[-1] == 35
    np.testing.assert_array_equal(schedule.starts, NOISE.sigmas[schedule.timesteps.astype(int)])


def test_the_penultimate_level_is_left_out() -> None:
    whole, cut = normal(NOISE, 28), without_penultimate(normal(NOISE, 28))
    assert cut.sigmas.tolist() == [*whole.sigmas[:-2], 0.0]
    assert cut.timesteps.tolist() == whole.timesteps[:-1].tolist()
    one = without_penultimate(normal(NOISE, 2))
    assert one.sigmas.tolist() == [whole.sigmas[0], 0.0]
