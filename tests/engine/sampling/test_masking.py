"""Each tool's loop around a mask, written out as the tool has it, against table and kernel.

The network is a function of what it is shown, so what a tool shows it matters; masks are soft.
"""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from sakuga.engine.sampling.choice import choose
from sakuga.engine.sampling.compat import find_compat
from sakuga.engine.sampling.masking import MaskRule, holds
from sakuga.engine.sampling.noise_schedule import stable_diffusion_schedule
from sakuga.engine.sampling.plan import Training, sampling_table
from sakuga.engine.sampling.strength import Strength
from sakuga.engine.sampling.table import Prediction, SamplerTable
from sakuga.kernels.denoise_step import SCRATCH, denoise_step
from sakuga.kernels.guide import Guide, Hold, held
from sakuga.kernels.init_noise import init_noise
from sakuga.kernels.model_inputs import model_inputs

F64 = NDArray[np.float64]
Denoiser = Callable[[F64, float], F64]
SHAPE = (4, 6, 5)

_rng = np.random.default_rng(8)
PICTURE, NOISE = _rng.standard_normal((2, *SHAPE), np.float32)
MASK = np.broadcast_to(np.clip(_rng.standard_normal(SHAPE[1:], np.float32), 0, 1), SHAPE).copy()
M, REST = MASK.astype(float), 1 - MASK.astype(float)


def shown_to_prediction(shown: F64, timestep: float) -> F64:
    """Any function of the scaled input and the timestep."""
    return np.tanh(1.3 * shown + 0.1) * (0.5 + timestep / 1000)


def ours(table: SamplerTable, prediction: Prediction, rule: MaskRule) -> F64:
    columns = holds(table, prediction, rule)
    guide = Guide(PICTURE, NOISE, MASK)
    latent, row = np.empty(SHAPE, np.float32), np.empty((1, *SHAPE), np.float32)
    histories = np.zeros((table.histories, *SHAPE), np.float32)
    scratch = np.empty((SCRATCH, *SHAPE), np.float32)
    init_noise(NOISE, table.init_scale, latent, PICTURE, table.picture)
    model_inputs(held(latent, guide, _mix(columns.shown[0])), float(table.c_in[0]), row)
    for at in range(table.evaluations):
        output = shown_to_prediction(row[0].astype(float), table.timestep[at]).astype(np.float32)
        after = at + 1
        hold = Hold(
            columns.p[after], columns.q[after], _mix(columns.seen[after]),
            _mix(columns.kept[after]), _mix(columns.shown[after]),
        )  # fmt: skip
        coefficients = table.coefficients(at)
        denoise_step(
            latent, histories, [output], [1.0], coefficients, None, row, scratch, guide, hold
        )
    return latent.astype(float)


def _mix(values: F64) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def denoiser(table: SamplerTable, prediction: Prediction) -> Denoiser:
    """What the network denoises an x at σ to."""
    timesteps = dict(zip(table.sigma.tolist(), table.timestep.tolist(), strict=True))

    def denoise(x: F64, sigma: float) -> F64:
        out = shown_to_prediction(x / np.sqrt(sigma**2 + 1), timesteps[sigma])
        if prediction == "epsilon":
            return x - sigma * out
        return x / (sigma**2 + 1) - sigma / np.sqrt(sigma**2 + 1) * out

    return denoise


def euler(denoise: Denoiser, sigmas: F64, x: F64, after: Callable[[F64, float], F64]) -> F64:
    for sigma, end in zip(sigmas, [*sigmas[1:], 0.0], strict=True):
        d = (x - denoise(x, float(sigma))) / sigma
        x = after(x + d * (end - sigma), float(end))
    return x


def plain(x: F64, _: float) -> F64:
    return x


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_a1111_blends_what_is_denoised(prediction: Prediction) -> None:
    compat = find_compat("a1111")
    table = sampling_table(
        compat, choose(compat, "euler"), 9, Training(prediction), strength=Strength(0.7)
    )
    inner, sigmas = denoiser(table, prediction), table.sigma
    found = euler(
        lambda x, sigma: M * inner(x, sigma) + REST * PICTURE,
        sigmas, PICTURE + sigmas[0] * NOISE.astype(float), plain,
    )  # fmt: skip
    wanted = M * found + REST * PICTURE
    np.testing.assert_allclose(ours(table, prediction, "denoised"), wanted, atol=2e-5)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_comfy_shows_the_noised_picture_and_blends_what_is_denoised(
    prediction: Prediction,
) -> None:
    compat = find_compat("comfy")
    table = sampling_table(
        compat, choose(compat, "euler"), 9, Training(prediction), strength=Strength(0.7)
    )
    inner, sigmas = denoiser(table, prediction), table.sigma

    def denoise(x: F64, sigma: float) -> F64:
        shown = M * x + REST * (PICTURE + sigma * NOISE)
        return M * inner(shown, sigma) + REST * PICTURE

    wanted = euler(denoise, sigmas, PICTURE + sigmas[0] * NOISE.astype(float), plain)
    np.testing.assert_allclose(ours(table, prediction, "seen_and_denoised"), wanted, atol=2e-5)


def test_diffusers_mixes_the_latent_after_each_step() -> None:
    compat = find_compat("diffusers")
    table = sampling_table(compat, choose(compat, "euler"), 9, strength=Strength(0.7, masked=True))
    inner, sigmas = denoiser(table, "epsilon"), table.sigma

    def mixed(x: F64, end: float) -> F64:
        return M * x + REST * (PICTURE + end * NOISE)

    wanted = euler(inner, sigmas, PICTURE + sigmas[0] * NOISE.astype(float), mixed)
    np.testing.assert_allclose(ours(table, "epsilon", "latent"), wanted, atol=2e-5)


def test_a1111_s_ddim_is_shown_the_clean_picture() -> None:
    """In its own variance-preserving form, as `CFGDenoiserTimesteps` and `ddim` have it."""
    compat = find_compat("a1111")
    table = sampling_table(compat, choose(compat, "ddim"), 10, strength=Strength(0.8))
    alphas = 1 / (1 + table.sigma**2)
    start = (table.init_scale / table.picture) ** 2
    x = (PICTURE + np.sqrt(start) * NOISE.astype(float)) / np.sqrt(1 + start)
    last = 1 / (1 + _last_level() ** 2)
    for at, alpha in enumerate(alphas):
        eps = shown_to_prediction(M * x + REST * PICTURE, table.timestep[at])
        clean = (x - np.sqrt(1 - alpha) * eps) / np.sqrt(alpha)
        before = alphas[at + 1] if at + 1 < len(alphas) else last
        x = np.sqrt(before) * clean + np.sqrt(1 - before) * eps
    wanted = M * x + REST * PICTURE
    np.testing.assert_allclose(ours(table, "epsilon", "seen"), wanted, atol=2e-5)


def _last_level() -> float:
    """σ at t = 1, where A1111's DDIM ends."""
    return float(stable_diffusion_schedule().sigmas[1])
