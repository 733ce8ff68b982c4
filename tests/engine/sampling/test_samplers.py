"""The samplers, run through table and kernel, against published vectors and diffusers."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_euler_ancestral_discrete import (
    EulerAncestralDiscreteScheduler,
)
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sakuga.engine.errors import UsageError
from sakuga.engine.sampling.compat import COMPATS, sampling_table
from sakuga.engine.sampling.samplers import (
    SAMPLERS,
    Path,
    Prediction,
    SamplerOptions,
    SamplerTable,
    ancestral_step,
    euler,
    euler_ancestral,
    sampler_name,
)
from sakuga.engine.sampling.schedules import (
    NoiseSchedule,
    linspace,
    make_schedule,
    stable_diffusion_schedule,
)
from sakuga.kernels.denoise_step import SCRATCH, denoise_step
from sakuga.kernels.init_noise import init_noise
from sakuga.kernels.model_inputs import model_inputs
from sakuga.kernels.philox import normals

torch.set_num_threads(1)
# diffusers hands torch tensors to NumPy in a way NumPy means to drop.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
F32 = NDArray[np.float32]
Network = Callable[[F32, int], F32]  # the scaled model input and the evaluation's number
Draw = Callable[[int], F32]
Scheduler = EulerAncestralDiscreteScheduler | EulerDiscreteScheduler

NOISE = stable_diffusion_schedule()
SHAPE = (4, 16, 16)


def nv(seed: int, shape: tuple[int, ...] = SHAPE) -> Draw:
    return lambda draw: normals(seed, draw, int(np.prod(shape))).reshape(shape)


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
    sigmas = make_schedule("normal", NOISE, 28).sigmas
    sigma_down, sigma_up = ancestral_step(sigmas[:-1], sigmas[1:], eta=1.0)
    assert sigma_down[step] == pytest.approx(down, rel=1e-6)
    assert sigma_up[step] == pytest.approx(up, rel=1e-6)


@given(st.floats(0, 5), st.sampled_from(["normal", "leading", "trailing"]), st.integers(1, 1000))
def test_an_ancestral_step_splits_the_next_level(eta: float, name: str, steps: int) -> None:
    sigmas = make_schedule(name, NOISE, steps).sigmas
    down, up = ancestral_step(sigmas[:-1], sigmas[1:], eta)
    np.testing.assert_allclose(down**2 + up**2, sigmas[1:] ** 2, rtol=1e-9)
    assert (down >= 0).all() and (up >= 0).all()


def test_euler_a_over_28_steps_gives_the_published_numbers() -> None:
    table = sampling_table(COMPATS["a1111"], "Euler a", 28)
    latent = run(table, gaussian_eps(table), nv(42), np.empty((1, *SHAPE), np.float32))
    np.testing.assert_allclose(
        latent.ravel()[:4], [0.0924, 1.18394, -0.37497, 0.04677], rtol=0, atol=1e-5
    )
    assert latent.mean() == pytest.approx(0.046205, abs=2e-6)
    assert np.abs(latent).mean() == pytest.approx(0.731567, abs=2e-6)


def test_euler_over_28_steps_gives_the_published_numbers() -> None:
    table = sampling_table(COMPATS["a1111"], "Euler", 28)
    latent = run(table, gaussian_eps(table), nv(42), np.empty((1, *SHAPE), np.float32))
    np.testing.assert_allclose(
        latent.ravel()[:4], [0.18398, 2.04955, -0.16315, 0.80513], rtol=0, atol=1e-5
    )


def test_a_picture_of_a_batch_is_the_picture_alone() -> None:
    table = sampling_table(COMPATS["a1111"], "Euler a", 28)
    network = gaussian_eps(table)
    batch = np.empty((2, *SHAPE), np.float32)
    together = [run(table, network, nv(42 + i), batch[i : i + 1]) for i in range(2)]
    alone = [run(table, network, nv(42 + i), np.empty((1, *SHAPE), np.float32)) for i in range(2)]
    assert np.array_equal(together, alone)
    assert not np.array_equal(alone[0], alone[1])


class FixedDraws:
    """Stands in for a torch generator: hands out the numbered draws one after the other."""

    def __init__(self, draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
        self.draw, self.number = draw, 0
        module = "diffusers.schedulers.scheduling_euler_ancestral_discrete.randn_tensor"
        monkeypatch.setattr(module, self)

    def __call__(self, *_: object, **__: object) -> torch.Tensor:
        self.number += 1
        return torch.from_numpy(self.draw(self.number)[None])


def diffusers_scheduler(
    sampler: str, steps: int, spacing: str, prediction: Prediction
) -> Scheduler:
    kind = {"euler_a": EulerAncestralDiscreteScheduler, "euler": EulerDiscreteScheduler}[sampler]
    scheduler = kind(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        timestep_spacing=spacing,
        steps_offset=1,
        prediction_type=prediction,
    )
    scheduler.set_timesteps(steps)
    return scheduler


def smooth_network(inputs: F32, timestep: float) -> F32:
    """Rising in its input, so that rounding errors are not magnified from step to step."""
    return (np.tanh(inputs) / 3 + inputs * np.float32(timestep / 1000)).astype(np.float32)


@pytest.mark.parametrize("sampler", ["euler_a", "euler"])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize(("steps", "tolerance"), [(1, 2e-5), (25, 1e-5), (28, 1e-5)])
def test_equals_diffusers(
    sampler: str,
    prediction: Prediction,
    spacing: str,
    steps: int,
    tolerance: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scheduler = diffusers_scheduler(sampler, steps, spacing, prediction)
    FixedDraws(nv(7), monkeypatch)
    sample = torch.from_numpy(nv(7)(0)[None]) * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        scaled = scheduler.scale_model_input(sample, timestep)
        output = torch.from_numpy(smooth_network(scaled.numpy(), float(timestep)))
        sample = scheduler.step(output, timestep, sample, return_dict=False)[0]

    table = sampling_table(COMPATS["diffusers"], sampler, steps, prediction, spacing)
    latent = run(
        table,
        lambda inputs, row: smooth_network(inputs, table.timestep[row]),
        nv(7),
        np.empty((1, *SHAPE), np.float32),
    )
    expected = sample[0].numpy()
    assert table.init_scale == pytest.approx(float(scheduler.init_noise_sigma), rel=2e-5)
    assert np.abs(latent - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize(
    ("sampler", "prediction", "total", "mean"),
    [
        (euler_ancestral, "epsilon", 152.3192, 0.1983),
        (euler_ancestral, "v_prediction", 108.4439, 0.1412),
        (euler, "epsilon", 10.0807, 0.0131),
        (euler, "v_prediction", 0.0002, 2.2676e-06),
    ],
)
def test_the_sums_in_diffusers_own_tests(
    sampler: Callable[[Path, SamplerOptions], SamplerTable],
    prediction: Prediction,
    total: float,
    mean: float,
) -> None:
    """Ten steps of their dummy network; each step there starts from the scaled latent."""
    betas = np.linspace(0.0001, 0.02, 1100, dtype=np.float64)
    noise = NoiseSchedule((1 - betas).cumprod())
    schedule = linspace(noise, 10)
    table = sampler(Path(schedule, prediction, float(schedule.sigmas[0])), SamplerOptions())
    generator = torch.manual_seed(0)
    count = 4 * 3 * 8 * 8
    ramp: F32 = np.arange(count, dtype=np.float32) / np.float32(count)
    sample = ramp.reshape(3, 8, 8, 4).transpose(3, 0, 1, 2)
    latent, inputs = np.empty_like(sample), np.empty((1, *sample.shape), np.float32)
    scratch = np.empty((SCRATCH, *sample.shape), np.float32)
    init_noise(sample, table.init_scale, latent)
    model_inputs(latent, float(table.c_in[0]), inputs)
    for row, timestep in enumerate(table.timestep):
        latent[:] = inputs[0]
        outputs = (inputs * timestep / (timestep + 1)).astype(np.float32)
        draw = torch.randn(sample.shape, generator=generator).numpy()
        denoise_step(latent, [], outputs, [1.0], table.coefficients(row), draw, inputs, scratch)
    assert np.abs(latent).sum() == pytest.approx(total, abs=1e-3)
    assert np.abs(latent).mean() == pytest.approx(mean, abs=1e-4)


def test_eta_and_s_noise() -> None:
    def build(options: SamplerOptions) -> SamplerTable:
        return sampling_table(COMPATS["a1111"], "euler_a", 28, options=options)

    plain, still = build(SamplerOptions()), build(SamplerOptions(eta=0))
    ordinary = sampling_table(COMPATS["a1111"], "euler", 28)
    np.testing.assert_allclose(still.b, ordinary.b, rtol=1e-12)
    assert not still.draw.any() and not still.c.any()
    louder = build(SamplerOptions(s_noise=1.5))
    np.testing.assert_allclose(louder.c, 1.5 * plain.c)
    assert np.array_equal(louder.b, plain.b)


def test_noise_draws_are_numbered_by_step_and_the_last_step_draws_none() -> None:
    table = sampling_table(COMPATS["a1111"], "euler_a", 5)
    assert table.draw.tolist() == [1, 2, 3, 4, 0]
    assert sampling_table(COMPATS["a1111"], "euler_a", 1).draw.tolist() == [0]
    assert not sampling_table(COMPATS["a1111"], "euler", 5).draw.any()


def test_coefficients_carry_the_next_input_scale() -> None:
    table = sampling_table(COMPATS["a1111"], "euler_a", 3)
    scales = [table.coefficients(row).c_in for row in range(3)]
    assert scales == [table.c_in[1], table.c_in[2], 1.0]


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        *((text, "euler_a") for text in ("Euler a", "euler_a", "Euler A", "EULER ANCESTRAL")),
        *((text, "euler_a") for text in ("k_euler_a", "euler-ancestral", "k_euler_ancestral")),
        ("EulerAncestralDiscreteScheduler", "euler_a"),
        *((text, "euler") for text in ("Euler", "euler", "k_euler", "EulerDiscreteScheduler")),
    ],
)
def test_spellings(spelling: str, name: str) -> None:
    assert sampler_name(spelling) == name


def test_no_two_samplers_share_a_spelling() -> None:
    for name, sampler in SAMPLERS.items():
        for text in (name, sampler.label, *sampler.spellings):
            assert sampler_name(text) == name


def test_an_unknown_sampler_names_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        sampler_name("eulr a")
    assert "Euler a, Euler" in caught.value.note
    assert caught.value.hint == "Did you mean 'Euler a'?"
    with pytest.raises(UsageError) as caught:
        sampler_name("")
    assert caught.value.hint == ""
