"""The part around a mask: diffusers' own, inside the picture, of the wanted aspect."""

import numpy as np
import pytest
from diffusers.image_processor import VaeImageProcessor
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sakuga.engine.errors import UsageError
from sakuga.engine.refine.crop import cropped, masked_window
from sakuga.profiles.buckets import ANIMAGINE_BUCKETS, Size

TARGETS = st.sampled_from(ANIMAGINE_BUCKETS)


@st.composite
def boxes(draw: st.DrawFn) -> np.ndarray:
    """A mask with one box, anywhere."""
    height, width = draw(st.integers(1, 300)), draw(st.integers(1, 300))
    top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    mask = np.zeros((height, width), np.uint8)
    mask[top : draw(st.integers(top + 1, height)), left : draw(st.integers(left + 1, width))] = 1
    return mask


@settings(max_examples=200, deadline=None)
@given(boxes(), TARGETS, st.integers(0, 80))
def test_windows_are_those_of_diffusers(mask: np.ndarray, target: Size, padding: int) -> None:
    window = masked_window(mask, padding, target)
    theirs = VaeImageProcessor.get_crop_region(
        Image.fromarray(mask), target.width, target.height, padding
    )
    ends = window.left + window.width, window.top + window.height
    assert (window.left, window.top, *ends) == theirs


@settings(max_examples=200, deadline=None)
@given(boxes(), TARGETS, st.integers(0, 80))
def test_windows_hold_the_mask_and_stay_inside(
    mask: np.ndarray, target: Size, padding: int
) -> None:
    window = masked_window(mask, padding, target)
    assert window.top >= 0 and window.top + window.height <= mask.shape[0]
    assert window.left >= 0 and window.left + window.width <= mask.shape[1]
    assert mask[window.rows, window.columns].sum() == mask.sum()
    # Less than a pixel from the aspect, unless the picture itself is too narrow for it.
    short = window.height * target.width / target.height - window.width
    if window.width < mask.shape[1]:
        assert short < 1
    if window.height < mask.shape[0]:
        assert -short * target.height / target.width < 1 + 1e-9  # 6.9… of 7 are 6, in A1111 too
    assert cropped(mask, window, Size(24, 16)).shape == (16, 24)


def test_the_padded_part_fills_the_target() -> None:
    mask = np.zeros((100, 100), np.uint8)
    mask[40:60, 45:55] = 255
    window = masked_window(mask, 5, Size(64, 64))
    assert (window.top, window.left, window.height, window.width) == (35, 35, 30, 30)
    picture = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)
    theirs = (
        Image.fromarray(picture).crop((35, 35, 65, 65)).resize((64, 64), Image.Resampling.LANCZOS)
    )
    np.testing.assert_array_equal(cropped(picture, window, Size(64, 64)), np.asarray(theirs))


def test_an_empty_mask_has_no_part() -> None:
    with pytest.raises(UsageError, match="empty"):
        masked_window(np.zeros((8, 8), np.uint8), 32, Size(64, 64))
