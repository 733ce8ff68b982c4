"""Back into the picture: A1111's and diffusers' overlay, and nothing changes beside the mask."""

import numpy as np
import pytest
from diffusers.image_processor import VaeImageProcessor
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sakuga.engine.refine.crop import cropped, masked_window
from sakuga.engine.refine.gaussian import blurred
from sakuga.engine.refine.paste import overlaid, pasted
from sakuga.profiles.buckets import Size

RANDOM = np.random.default_rng(0)
ORIGINAL = RANDOM.integers(0, 256, (90, 120, 3), np.uint8)
MASK = np.zeros((90, 120), np.uint8)
MASK[30:60, 70:110] = 255
TARGET = Size(64, 48)


@pytest.mark.parametrize("sigma", [0, 4, 9])
def test_pixels_are_those_of_diffusers(sigma: float) -> None:
    mask = blurred(MASK, sigma, sigma)
    window = masked_window(mask, 8, TARGET)
    made = RANDOM.integers(0, 256, (TARGET.height, TARGET.width, 3), np.uint8)
    region = window.left, window.top, window.left + window.width, window.top + window.height
    theirs = VaeImageProcessor().apply_overlay(
        Image.fromarray(mask), Image.fromarray(ORIGINAL), Image.fromarray(made), region
    )
    np.testing.assert_array_equal(pasted(ORIGINAL, made, mask, window), np.asarray(theirs))


def test_a_whole_picture_is_laid_under() -> None:
    made = RANDOM.integers(0, 256, ORIGINAL.shape, np.uint8)
    mask = blurred(MASK, 4, 4)
    theirs = VaeImageProcessor().apply_overlay(
        Image.fromarray(mask), Image.fromarray(ORIGINAL), Image.fromarray(made)
    )
    result = overlaid(ORIGINAL, made, mask)
    np.testing.assert_array_equal(result, np.asarray(theirs))
    np.testing.assert_array_equal(result[mask == 255], made[mask == 255])
    share = mask[..., None] / 255
    assert np.abs(result - (made * share + ORIGINAL * (1 - share))).max() <= 3


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.floats(0, 12), st.integers(0, 40))
def test_beside_the_mask_no_pixel_changes(seed: int, sigma: float, padding: int) -> None:
    random = np.random.default_rng(seed)
    height, width = random.integers(2, 60, 2)
    original = random.integers(0, 256, (height, width, 3), np.uint8)
    mask = np.zeros((height, width), np.uint8)
    top, left = random.integers(0, height), random.integers(0, width)
    mask[top : top + random.integers(1, 20), left : left + random.integers(1, 20)] = 255
    mask = blurred(mask, sigma, sigma)
    if not mask.any():  # blurred away
        return
    window = masked_window(mask, padding, TARGET)
    made = 255 - cropped(original, window, TARGET)
    result = pasted(original, made, mask, window)
    np.testing.assert_array_equal(result[mask == 0], original[mask == 0])
