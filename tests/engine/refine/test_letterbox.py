"""Pictures fit the network's input, and boxes come back where they were."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.refine.letterbox import Letterbox
from sakuga.profiles.buckets import Size

SIDES = st.integers(1, 3000)


@given(SIDES, SIDES, st.integers(1, 20), st.integers(1, 20))
def test_boxes_come_back(width: int, height: int, across: int, down: int) -> None:
    picture = Size(width, height)
    boxes = np.array(
        [[0, 0, width, height], [width * 0.2, height * 0.1, width * 0.7, height * 0.9]], np.float32
    )
    for letterbox in (
        Letterbox.within(picture, Size(32 * across, 32 * down)),
        Letterbox.around(picture, Size(640, 640), 32),
    ):
        np.testing.assert_allclose(
            letterbox.to_picture(letterbox.to_input(boxes)), boxes, rtol=1e-3, atol=1e-2
        )
        inner, outer = letterbox.inner, letterbox.outer
        assert 0 <= letterbox.left <= outer.width - inner.width
        assert 0 <= letterbox.top <= outer.height - inner.height
        assert outer.width % 32 == outer.height % 32 == 0


@pytest.mark.parametrize(
    ("picture", "inner", "outer", "place"),
    [
        # What Ultralytics makes of them at 640.
        (Size(832, 1216), Size(438, 640), Size(448, 640), (5, 0)),
        (Size(1024, 1024), Size(640, 640), Size(640, 640), (0, 0)),
        (Size(1216, 832), Size(640, 438), Size(640, 448), (0, 5)),
        (Size(1920, 1081), Size(640, 360), Size(640, 384), (0, 12)),
    ],
)
def test_an_open_input_is_as_small_as_it_can_be(
    picture: Size, inner: Size, outer: Size, place: tuple[int, int]
) -> None:
    letterbox = Letterbox.around(picture, Size(640, 640), 32)
    assert (letterbox.inner, letterbox.outer) == (inner, outer)
    assert (letterbox.left, letterbox.top) == place


def test_of_an_odd_rest_the_larger_half_is_behind() -> None:
    letterbox = Letterbox.within(Size(59, 64), Size(64, 64))
    assert (letterbox.left, letterbox.inner) == (2, Size(59, 64))


def test_what_lies_outside_the_picture_is_cut() -> None:
    letterbox = Letterbox.within(Size(64, 32), Size(64, 64))
    boxes = np.array([[-5, 0, 70, 64]], np.float32)
    np.testing.assert_array_equal(letterbox.to_picture(boxes), [[0, 0, 64, 32]])


def test_the_rest_of_the_input_is_grey() -> None:
    pixels = np.full((32, 64, 3), 200, np.uint8)
    shown = Letterbox.within(Size(64, 32), Size(64, 64)).filled(pixels)
    assert (shown[16:48] == 200).all()
    assert (shown[:16] == 114).all() and (shown[48:] == 114).all()


def test_a_ramp_is_scaled_linearly() -> None:
    """As OpenCV's INTER_LINEAR does it: [0, 40, 80, 120] in eight, and in two."""
    ramp = np.tile(np.array([0, 40, 80, 120], np.uint8)[None, :, None], (4, 1, 3))
    larger = Letterbox.within(Size(4, 4), Size(8, 8)).filled(ramp)
    np.testing.assert_array_equal(larger[0, :, 0], [0, 10, 30, 50, 70, 90, 110, 120])
    smaller = Letterbox.within(Size(4, 4), Size(2, 2)).filled(ramp)
    np.testing.assert_array_equal(smaller[0, :, 0], [20, 100])
