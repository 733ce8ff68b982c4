"""Previews against their formula, and colours against what they must show."""

import numpy as np
import pytest

from sakuga.kernels.preview import COLOURS, Colours, Foresight, preview


@pytest.mark.parametrize("family", COLOURS)
@pytest.mark.parametrize("precision", [np.float32, np.float16])
def test_equals_the_formula(family: str, precision: type[np.floating]) -> None:
    generator = np.random.default_rng(3)
    latent = generator.standard_normal((4, 6, 9), np.float32)
    outputs = generator.standard_normal((3, 4, 6, 9), np.float32).astype(precision)
    weights, foresight, colours = (2.0, 1.5, -2.5), Foresight(1.2, -0.7), COLOURS[family]
    eps = np.einsum("r,rchw->chw", weights, outputs.astype(np.float64))
    foreseen = foresight.a * latent.astype(np.float64) + foresight.b * eps
    rgb = np.einsum("chw,ck->hwk", foreseen, np.array(colours.factors)) + colours.offsets
    wanted = np.floor(np.clip((rgb + 1) / 2, 0, 1) * 255)
    before = latent.copy()
    found = preview(latent, outputs, weights, foresight, colours)
    assert found.dtype == np.uint8 and found.shape == (6, 9, 3)
    assert np.abs(found - wanted).max() <= 1 and (found != wanted).mean() < 0.02
    assert np.array_equal(latent, before)


def test_what_is_no_number_is_black_and_what_is_too_large_is_cut_off() -> None:
    grey = Colours(((1.0, 1.0, 1.0), *[(0.0, 0.0, 0.0)] * 3), (0.0, 0.0, 0.0))
    latent = np.zeros((4, 1, 5), np.float32)
    latent[0, 0] = [np.nan, -5, 0, 5, np.inf]
    pixels = preview(latent, [np.zeros_like(latent)], [1.0], Foresight(1.0, 0.0), grey)
    assert pixels[0, :, 0].tolist() == [0, 0, 127, 255, 255]
    assert (pixels == pixels[..., :1]).all()


def test_an_output_that_does_not_count_is_not_read() -> None:
    latent = np.full((4, 2, 2), 0.25, np.float32)
    nothing = np.full((1, 4, 2, 2), np.nan, np.float32)
    assert preview(latent, nothing, [1.0], Foresight(1.0, 0.0), COLOURS["sdxl"]).all()
