"""What holds a latent where a part of a picture is painted alone: formula, and CUDA source."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sakuga.kernels.denoise_step import SCRATCH, Coefficients, denoise_step
from sakuga.kernels.guide import Guide, Hold, held
from sakuga.kernels.init_noise import init_noise
from sakuga.kernels.launch import (
    GIVEN,
    GUIDES,
    HISTORIES,
    MIXES,
    STEP_ROW,
    Seat,
    fill_launch,
    hold_of,
    new_launch,
)
from sakuga.kernels.model_inputs import model_inputs

F32 = NDArray[np.float32]
Run = Callable[..., None]
COUNTS = (1, 8, 60, 4 * 13 * 9)
HOLDS = (
    Hold(p=-0.4, q=0.4),
    Hold(kept=(1.0, 3.5)),
    Hold(-0.4, 0.4, seen=(1.0, 2.5), shown=(1.0, 1.5)),
    Hold(shown=(2.7, 0.0), kept=(1.0, 0.0)),
)
SOFT = Coefficients(0.9, -0.4, 0.0, (0.0, 0.0, 0.0), 0.0, 0.0, 0, 0.7)


def guide_of(count: int, seed: int = 1) -> tuple[F32, Guide]:
    """Buffers [GUIDES, count] and what they mean; the mask has zeros, ones and parts."""
    generator = np.random.default_rng(seed)
    buffers = generator.standard_normal((GUIDES, count), np.float32)
    buffers[2] = np.clip(buffers[2], 0, 1)
    return buffers, Guide(buffers[0], buffers[1], buffers[2])


def step(latent: F32, output: F32, guide: Guide, hold: Hold) -> F32:
    """The latent after a step without noise; and the next input, which is left in `output`."""
    histories = np.zeros((HISTORIES, *latent.shape), np.float32)
    scratch = np.empty((SCRATCH, *latent.shape), np.float32)
    row = np.empty_like(latent)
    denoise_step(latent, histories, [output], [1.0], SOFT, None, [row], scratch, guide, hold)
    return row


@pytest.mark.parametrize("sigma", [14.6, 1.5, 0.03])
def test_held_predictions_denoise_to_the_picture_outside_the_mask(sigma: float) -> None:
    """A1111's rule, in ε: with p = -1/σ and q = 1/σ, x - σ·ê is the blend of both."""
    generator = np.random.default_rng(0)
    x, eps = generator.standard_normal((2, 600), np.float32)
    _, guide = guide_of(600)
    latent = x.copy()
    to_denoised = Coefficients(1, -sigma, 0, (0, 0, 0), 0, 0, 0, 1)
    denoise_step(
        latent,
        np.zeros((3, 600), np.float32),
        [eps],
        [1.0],
        to_denoised,
        None,
        [],
        np.empty((SCRATCH, 600), np.float32),
        guide,
        Hold(-1 / sigma, 1 / sigma),
    )
    wanted = guide.mask * (x - sigma * eps) + (1 - guide.mask) * guide.picture
    np.testing.assert_allclose(latent, wanted, atol=3e-6 * max(1, sigma))


def test_kept_and_shown_are_their_formulas() -> None:
    generator = np.random.default_rng(0)
    x, eps = generator.standard_normal((2, 600), np.float32)
    _, guide = guide_of(600)
    mask, rest = guide.mask, 1 - guide.mask
    after = np.float32(0.9) * x + np.float32(-0.4) * eps
    assert guide.noise is not None

    latent = x.copy()
    row = step(latent, eps, guide, Hold(kept=(1.0, 3.5)))
    kept = mask * after + rest * (guide.picture + np.float32(3.5) * guide.noise)
    np.testing.assert_allclose(latent, kept, atol=1e-5)
    np.testing.assert_allclose(row, np.float32(0.7) * kept, atol=1e-5)

    latent = x.copy()
    row = step(latent, eps, guide, Hold(shown=(2.0, 0.0)))
    np.testing.assert_array_equal(latent, after)  # only what the network sees is held
    np.testing.assert_allclose(row, 0.7 * (mask * after + rest * 2 * guide.picture), atol=1e-5)


def test_a_mix_without_noise_reads_none() -> None:
    _, guide = guide_of(60)
    assert np.isfinite(held(guide.picture, guide._replace(noise=None), (1.0, 0.0))).all()


@pytest.mark.parametrize("hold", HOLDS)
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("pitch", [0, 8])
def test_a_held_step_is_the_twin_s(run: Run, pitch: int, count: int, hold: Hold) -> None:
    """Bit for bit; with rows of the input that are longer than the latent, too."""
    generator = np.random.default_rng(count)
    latents, outputs = generator.standard_normal((2, 2, count), np.float32)
    twin = latents[1].copy()
    inputs = np.full((2, count + pitch), np.nan, np.float32)
    guides = np.full((2, GUIDES, count), np.nan, np.float32)
    guides[1], _ = guide_of(count)
    guide = Guide(*guides[1])
    table = np.zeros((2, 1), STEP_ROW)
    row = table[1, 0]
    for name in ("a", "b", "c_in"):
        row[name] = getattr(SOFT, name)
    row["weights"][0], row["p"], row["q"] = 1, hold.p, hold.q
    for name in MIXES:
        row[name] = getattr(hold, name)
    assert np.allclose(np.hstack(hold_of(row)), np.hstack(hold))
    _play_step(run, table, latents, guides, outputs, inputs)
    wanted = step(twin, outputs[1], guide, hold_of(row))
    np.testing.assert_array_equal(latents[1], twin)
    np.testing.assert_array_equal(inputs[1, :count], wanted)
    assert np.isnan(inputs[1, count:]).all()
    assert np.isnan(inputs[0]).all()


def _play_step(run: Run, table: Any, latents: F32, guides: F32, outputs: F32, inputs: F32) -> None:  # noqa: ANN401
    record = new_launch()
    fill_launch(record, [Seat(1, (1,))])
    count, pitch = np.uint64(latents.shape[1]), np.uint64(inputs.shape[1])
    run(
        "denoise_step_float", (2, 1), 32, record, table, np.int32(1), np.zeros(4, np.uint64),
        count, pitch, np.uint64(0), guides, latents, np.uint64(0), outputs, inputs,
        np.zeros(2, np.float32),
    )  # fmt: skip


@pytest.mark.parametrize("count", COUNTS)
def test_first_inputs_are_the_twin_s(run: Run, count: int) -> None:
    latents = np.random.default_rng(count).standard_normal((2, count), np.float32)
    inputs, guides = np.empty((2, count), np.float32), np.empty((2, GUIDES, count), np.float32)
    guides[1], _ = guide_of(count)
    table = np.zeros((2, 1), STEP_ROW)
    table["c_in"], table["shown"] = 0.3, (1.7, 0.4)
    record = new_launch()
    fill_launch(record, [Seat(1, (0,))])
    run(
        "model_inputs_float", (2, 1), 32, record, table, np.int32(1), np.uint64(count),
        np.uint64(count), guides, latents, inputs, np.uint64(0),
    )  # fmt: skip
    guide, wanted = Guide(*guides[1]), np.empty((1, count), np.float32)
    model_inputs(
        held(latents[1], guide, (float(np.float32(1.7)), float(np.float32(0.4)))), 0.3, wanted
    )
    np.testing.assert_array_equal(inputs[0], wanted[0])


@pytest.mark.parametrize("count", COUNTS)
def test_a_first_latent_with_a_picture_is_the_twin_s(run: Run, count: int) -> None:
    latents, noises = np.random.default_rng(count).standard_normal((2, 2, count), np.float32)
    guides = np.full((2, GUIDES, count), np.nan, np.float32)
    guides[1], _ = guide_of(count)
    table = np.zeros((2, 1), STEP_ROW)
    table["a"], table["b"], table["draw"] = 3.5, 0.9, GIVEN
    record = new_launch()
    fill_launch(record, [Seat(1, ())])
    run(
        "init_noise", (2, 1), 32, record, table, np.int32(1), np.zeros(4, np.uint64),
        np.uint64(count), noises, guides, latents,
    )  # fmt: skip
    wanted = np.empty(count, np.float32)
    init_noise(noises[1], 3.5, wanted, guides[1, 0], 0.9)
    np.testing.assert_array_equal(latents[1], wanted)
