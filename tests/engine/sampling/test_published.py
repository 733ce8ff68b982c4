"""Pictures without a network, run through table and kernel, against published numbers.

The sums of diffusers' own tests use networks and noise levels of their own. Their Euler tests go
on from the scaled latent, and their DPM-Solver test ends at the lowest trained σ; the tables here
are given the same paths.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sakuga.engine.sampling.choice import choose
from sakuga.engine.sampling.compat import COMPATS
from sakuga.engine.sampling.levels import Schedule
from sakuga.engine.sampling.noise_schedule import NoiseSchedule
from sakuga.engine.sampling.plan import sampling_table
from sakuga.engine.sampling.solvers.ddim import ddim
from sakuga.engine.sampling.solvers.dpmpp_multi import dpmpp_2m
from sakuga.engine.sampling.solvers.euler import ancestral_step, euler, euler_ancestral
from sakuga.engine.sampling.spacings import euler_levels, linspace, solver_levels
from sakuga.engine.sampling.table import Path, Prediction, SamplerTable
from sakuga.kernels.denoise_step import SCRATCH, denoise_step
from sakuga.kernels.init_noise import init_noise
from sakuga.kernels.model_inputs import model_inputs
from sakuga.kernels.philox import normals

torch.set_num_threads(1)
F32 = NDArray[np.float32]
Network = Callable[[F32, int], F32]  # the scaled model input and the evaluation's number
Draw = Callable[[int], F32]
Play = Callable[..., NDArray[np.float64]]

SHAPE = (4, 16, 16)


def nv(seed: int) -> Draw:
    return lambda draw: normals(seed, draw, int(np.prod(SHAPE))).reshape(SHAPE)


def run(table: SamplerTable, network: Network, draw: Draw, inputs: F32) -> F32:
    """Sample one picture whose model-input rows are `inputs`, one row."""
    latent = np.empty_like(inputs[0])
    histories = np.full((table.histories, *latent.shape), np.nan, np.float32)
    scratch = np.full((SCRATCH, *latent.shape), np.nan, np.float32)
    init_noise(draw(0), table.init_scale, latent)
    model_inputs(latent, float(table.c_in[0]), inputs)
    for row in range(table.evaluations):
        outputs = network(inputs, row)
        number = int(table.draw[row])
        noise = draw(number) if number else None
        denoise_step(
            latent, histories, outputs, [1.0], table.coefficients(row), noise, inputs, scratch
        )
    return latent


def gaussian_eps(table: SamplerTable) -> Network:
    """ε of the denoiser D(x, σ) = x/(1 + σ²), which is exact for a standard normal picture."""
    sigma = np.sqrt(1 / table.c_in**2 - 1).astype(np.float32)
    c_in = table.c_in.astype(np.float32)

    def network(inputs: F32, row: int) -> F32:
        x = inputs / c_in[row]
        return (x - x / (1 + sigma[row] ** 2)) / sigma[row]

    return network


def normal_28(sampler: str) -> SamplerTable:
    compat = COMPATS["a1111"]
    return sampling_table(compat, choose(compat, sampler, "normal"), 28)


@pytest.mark.parametrize(
    ("step", "down", "up"),
    [
        (0, 9.436263, 6.990317),
        (1, 7.755838, 5.561199),
        (13, 1.342661, 0.710831),
        (26, 0.00446052, 0.02882407),
        (27, 0, 0),
    ],
)
def test_ancestral_steps_of_28_normal_levels(step: int, down: float, up: float) -> None:
    table = normal_28("Euler")
    sigmas = np.append(np.sqrt(1 / table.c_in**2 - 1), 0.0)
    sigma_down, sigma_up = ancestral_step(sigmas[step], sigmas[step + 1], eta=1.0)
    assert (sigma_down, sigma_up) == pytest.approx((down, up), rel=1e-6)


def test_euler_a_over_28_steps_gives_the_published_numbers() -> None:
    table = normal_28("Euler a")
    latent = run(table, gaussian_eps(table), nv(42), np.empty((1, *SHAPE), np.float32))
    np.testing.assert_allclose(
        latent.ravel()[:4], [0.0924, 1.18394, -0.37497, 0.04677], rtol=0, atol=1e-5
    )
    assert latent.mean() == pytest.approx(0.046205, abs=2e-6)
    assert np.abs(latent).mean() == pytest.approx(0.731567, abs=2e-6)


def test_euler_over_28_steps_gives_the_published_numbers() -> None:
    table = normal_28("Euler")
    latent = run(table, gaussian_eps(table), nv(42), np.empty((1, *SHAPE), np.float32))
    np.testing.assert_allclose(
        latent.ravel()[:4], [0.18398, 2.04955, -0.16315, 0.80513], rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("sampler", ["Euler a", "DPM++ 3M SDE", "LMS", "UniPC"])
def test_the_kernel_in_float32_is_near_the_table_in_float64(
    sampler: str,
    play: Play,
    smooth_network: Callable[[NDArray[Any], float], NDArray[np.float64]],
) -> None:
    table = normal_28(sampler) if sampler != "UniPC" else usual_28(sampler)
    found = run(
        table,
        lambda inputs, row: smooth_network(inputs, table.timestep[row]).astype(np.float32),
        nv(42),
        np.empty((1, *SHAPE), np.float32),
    )
    wanted = play(table, smooth_network, lambda number: nv(42)(number).astype(np.float64))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-5 * np.abs(wanted).max())


def usual_28(sampler: str) -> SamplerTable:
    compat = COMPATS["a1111"]
    return sampling_table(compat, choose(compat, sampler), 28)


def test_a_picture_of_a_batch_is_the_picture_alone() -> None:
    table = normal_28("Euler a")
    network = gaussian_eps(table)
    batch = np.empty((2, *SHAPE), np.float32)
    together = [run(table, network, nv(42 + i), batch[i : i + 1]) for i in range(2)]
    alone = [run(table, network, nv(42 + i), np.empty((1, *SHAPE), np.float32)) for i in range(2)]
    assert np.array_equal(together, alone)
    assert not np.array_equal(alone[0], alone[1])


COUNT = 4 * 3 * 8 * 8
RAMP = (np.arange(COUNT) / COUNT).reshape(3, 8, 8, 4).transpose(3, 0, 1, 2)


def dummy(inputs: NDArray[np.float64], timestep: float) -> NDArray[np.float64]:
    """The network of diffusers' scheduler tests."""
    return inputs * timestep / (timestep + 1)


def linear_betas(length: int) -> NoiseSchedule:
    return NoiseSchedule((1 - np.linspace(0.0001, 0.02, length)).cumprod())


def path(noise: NoiseSchedule, schedule: Schedule, prediction: Prediction, eta: float) -> Path:
    scale = float(schedule.starts[0])
    if schedule.variance_preserving:
        scale = float(np.sqrt(1 + scale**2))
    at = lambda sigma: float(noise.timestep(np.array(sigma)))  # noqa: E731
    return Path(schedule, 10, prediction, scale, at, eta)


def sums(latent: NDArray[np.float64]) -> tuple[float, float]:
    return float(np.abs(latent).sum()), float(np.abs(latent).mean())


KARRAS = partial(euler_levels, spacing="linspace", name="karras")


@pytest.mark.parametrize(
    ("sampler", "levels", "prediction", "total", "mean"),
    [
        (euler_ancestral, linspace, "epsilon", 152.3192, 0.1983),
        (euler_ancestral, linspace, "v_prediction", 108.4439, 0.1412),
        (euler, linspace, "epsilon", 10.0807, 0.0131),
        (euler, linspace, "v_prediction", 0.0002, 2.2676e-06),
        (euler, KARRAS, "epsilon", 124.522995, 0.16214),
    ],
)
def test_the_sums_in_diffusers_euler_tests(
    sampler: Callable[[Path], SamplerTable],
    levels: Callable[[NoiseSchedule, int], Schedule],
    prediction: Prediction,
    total: float,
    mean: float,
) -> None:
    """Ten steps; each step there starts from the scaled latent."""
    noise = linear_betas(1100)
    table = sampler(path(noise, levels(noise, 10), prediction, eta=1.0))
    generator = torch.manual_seed(0)
    latent = table.init_scale * RAMP
    for row, timestep in enumerate(table.timestep):
        latent = table.c_in[row] * latent
        out = dummy(latent, float(timestep))
        noise_drawn = torch.randn(RAMP.shape, generator=generator).numpy()
        latent = table.a[row] * latent + table.b[row] * out + table.c[row] * noise_drawn
    assert sums(latent) == (pytest.approx(total, abs=1e-2), pytest.approx(mean, abs=1e-3))


def test_the_sums_in_diffusers_ddim_test(play: Play) -> None:
    """Its path has no offset and ends at ᾱ = 1; its `clip_sample` never clips."""
    noise = linear_betas(1000)
    timesteps = np.arange(900, -1, -100)
    starts = noise.sigmas[timesteps]
    ends = np.append(starts[1:], 0.0)
    schedule = Schedule(starts, ends, timesteps.astype(np.float64), variance_preserving=True)
    table = ddim(path(noise, schedule, "epsilon", eta=0.0))
    latent = play(table, dummy, lambda _: RAMP)
    assert sums(latent) == (pytest.approx(172.0067, abs=1e-2), pytest.approx(0.223967, abs=1e-3))


def test_the_mean_in_diffusers_dpm_solver_test(play: Play) -> None:
    noise = linear_betas(1000)
    levels = solver_levels(noise, 10, "linspace", "linspace")
    ends = np.append(levels.ends[:-1], noise.sigma_min)
    schedule = Schedule(levels.starts, ends, levels.timesteps, variance_preserving=True)
    table = dpmpp_2m(path(noise, schedule, "epsilon", eta=0.0))
    latent = play(table, dummy, lambda _: RAMP) / np.sqrt(1 + noise.sigma_min**2)
    assert sums(latent)[1] == pytest.approx(0.3301, abs=1e-3)
