"""The trained noise levels against published values."""

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.sampling.noise_schedule import stable_diffusion_schedule, zero_terminal_snr

torch.set_num_threads(1)
NOISE = stable_diffusion_schedule()
COMFY_ALPHA = 4.8973451890853435e-08


def test_the_trained_levels() -> None:
    assert NOISE.sigma_min == pytest.approx(0.0291672, rel=1e-5)
    assert NOISE.sigma_max == pytest.approx(14.614641, rel=1e-7)
    assert NOISE.alphas_cumprod[999] == pytest.approx(0.0046601, rel=1e-4)


@given(st.floats(0, 999))
def test_timestep_is_the_inverse_of_sigma(timestep: float) -> None:
    for noise in (NOISE, zero_terminal_snr(NOISE, COMFY_ALPHA)):
        back = noise.timestep(noise.sigma(np.array([timestep])))
        assert back[0] == pytest.approx(timestep, abs=1e-9)


def test_sigmas_beyond_the_trained_ones_are_clamped() -> None:
    assert NOISE.timestep(np.array([1e-4, 4518.76])).tolist() == [0, 999]
    assert NOISE.nearest_timestep(np.array([1e-4, 4518.76])).tolist() == [0, 999]


@pytest.mark.parametrize("steps", [1, 20, 25, 28, 30, 50, 150])
def test_nearest_timestep_is_the_argmin_over_log_sigma(steps: int) -> None:
    timesteps = np.linspace(999, 0, steps)
    sigmas = NOISE.sigma(timesteps)
    distances = np.log(sigmas) - NOISE.log_sigmas[:, None]
    expected = np.abs(distances).argmin(axis=0)
    halfway = np.abs(timesteps % 1 - 0.5) < 1e-6
    found = NOISE.nearest_timestep(sigmas)
    assert np.array_equal(found[~halfway], expected[~halfway])
    assert np.array_equal(found[halfway], np.floor(timesteps[halfway]))


def test_zero_terminal_snr_is_what_comfy_and_a1111_have() -> None:
    noise = zero_terminal_snr(NOISE, COMFY_ALPHA)
    assert noise.sigma_max == pytest.approx(4518.76, abs=0.005)
    assert noise.sigma_min == pytest.approx(NOISE.sigma_min, rel=1e-12)
    assert (np.diff(noise.sigmas) > 0).all()


def test_zero_terminal_snr_is_diffusers_rescaling() -> None:
    betas = torch.from_numpy(np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
    theirs = torch.cumprod(1 - rescale_zero_terminal_snr(betas), dim=0).numpy()
    ours = zero_terminal_snr(NOISE, 2.0**-24)
    np.testing.assert_allclose(ours.alphas_cumprod[:-1], theirs[:-1], rtol=1e-12)
    assert theirs[-1] == 0
    assert ours.sigma_max == pytest.approx(4096, rel=1e-7)
