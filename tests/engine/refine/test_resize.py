"""Sizes, and the same pixels as diffusers, which has A1111's three modes."""

import numpy as np
import pytest
from diffusers.image_processor import VaeImageProcessor
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sakuga.engine.refine.resize import Fit, resized
from sakuga.profiles.buckets import Size

FITS: dict[Fit, str] = {"stretch": "default", "crop": "crop", "fill": "fill"}
SIDES = st.integers(1, 70)


def noise(height: int, width: int, *channels: int) -> np.ndarray:
    return np.random.default_rng(width).integers(0, 256, (height, width, *channels), np.uint8)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [Size(64, 64), Size(48, 80), Size(80, 48), Size(24, 16)])
@pytest.mark.parametrize("shape", [(50, 50), (33, 71), (90, 31), (16, 24), (64, 64)])
def test_pixels_are_those_of_diffusers(fit: Fit, size: Size, shape: tuple[int, int]) -> None:
    pixels = noise(*shape, 3)
    processor = VaeImageProcessor(do_normalize=False)
    theirs = processor.resize(Image.fromarray(pixels), size.height, size.width, FITS[fit])
    np.testing.assert_array_equal(resized(pixels, size, fit), np.asarray(theirs))


@settings(max_examples=100, deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from([*FITS]), st.sampled_from([(), (3,)]))
def test_every_size_becomes_every_other(
    height: int, width: int, tall: int, wide: int, fit: Fit, channels: tuple[int, ...]
) -> None:
    flat = np.full((height, width, *channels), 77, np.uint8)
    result = resized(flat, Size(wide, tall), fit)
    assert result.shape == (tall, wide, *channels)
    assert (result == 77).all()  # no border is left black


def test_a_mask_is_resized_as_a_picture() -> None:
    mask = noise(30, 50)
    picture = np.repeat(mask[..., None], 3, axis=2)
    for fit in FITS:
        size = Size(40, 40)
        np.testing.assert_array_equal(resized(mask, size, fit), resized(picture, size, fit)[..., 0])


def test_filters_are_pillows() -> None:
    pixels = noise(10, 10, 3)
    for name in ("lanczos", "bicubic", "bilinear", "nearest"):
        theirs = Image.fromarray(pixels).resize((25, 15), Image.Resampling[name.upper()])
        np.testing.assert_array_equal(resized(pixels, Size(25, 15), filter=name), theirs)
