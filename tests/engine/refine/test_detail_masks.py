"""Masks as ADetailer makes them: its published vectors, OpenCV's results, properties."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sakuga.engine.refine.detail import Detail
from sakuga.engine.refine.detail_masks import Mask, detail_masks, filled, grown, shifted, touching
from sakuga.engine.refine.detections import Box, Detection
from sakuga.profiles.buckets import Size

TEN = Size(10, 10)
PLAIN = Detail(dilate=0)
MASKS = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)),
               elements=st.sampled_from([0, 255]))  # fmt: skip


def lit(rows: slice, columns: slice, size: Size = TEN) -> Mask:
    mask = np.zeros((size.height, size.width), np.uint8)
    mask[rows, columns] = 255
    return mask


def found(*boxes: Box) -> list[Detection]:
    return [Detection(box, 0.9) for box in boxes]


# ADetailer, tests/test_common.py: its two boxes, and tests/test_mask.py: a square of three pixels
# dilated by 3, a square of two moved by x=1, y=2.
@pytest.mark.parametrize(
    ("box", "first", "last"), [((1.0, 1.0, 2.0, 2.0), 1, 2), ((7.0, 7.0, 8.0, 8.0), 7, 8)]
)
def test_a_box_as_adetailer_fills_it(box: Box, first: int, last: int) -> None:
    side = slice(first, last + 1)
    np.testing.assert_array_equal(filled(box, TEN), lit(side, side))


def test_dilated_as_adetailer_does() -> None:
    square, wanted = slice(3, 6), slice(2, 7)
    np.testing.assert_array_equal(grown(lit(square, square), 3), lit(wanted, wanted))


def test_moved_as_adetailer_does() -> None:
    mask = shifted(lit(slice(4, 6), slice(4, 6)), right=1, up=2)
    np.testing.assert_array_equal(mask, lit(slice(2, 4), slice(5, 7)))


def test_what_leaves_at_one_side_comes_back_at_the_other() -> None:
    mask = shifted(lit(slice(0, 2), slice(8, 10)), right=1, up=1)
    wanted = np.zeros((10, 10), np.uint8)
    wanted[np.ix_([9, 0], [9, 0])] = 255
    np.testing.assert_array_equal(mask, wanted)


def test_even_sides_as_opencv_does() -> None:
    """What OpenCV 5.0 makes of a pixel and of a rectangle in the corner with squares of side 4."""
    size = Size(7, 6)
    one = grown(lit(slice(2, 3), slice(3, 4), size), 4)
    np.testing.assert_array_equal(one, lit(slice(1, 5), slice(2, 6), size))
    corner = grown(lit(slice(0, 5), slice(2, 7), size), -4)
    np.testing.assert_array_equal(corner, lit(slice(0, 4), slice(4, 7), size))


@given(MASKS, st.integers(1, 30))
def test_growing_takes_the_extreme_of_every_square(mask: Mask, side: int) -> None:
    before, after = side // 2, (side - 1) // 2
    height, width = mask.shape
    dilated, eroded = grown(mask, side), grown(mask, -side)
    for y in range(height):
        for x in range(width):
            rows = slice(max(y - before, 0), y + after + 1)
            part = mask[rows, max(x - before, 0) : x + after + 1]
            assert dilated[y, x] == part.max()
            assert eroded[y, x] == part.min()


@given(MASKS, st.integers(-20, 20), st.integers(-20, 20))
def test_moving_there_and_back_changes_nothing(mask: Mask, right: int, up: int) -> None:
    moved = shifted(mask, right, up)
    assert moved.sum(dtype=int) == mask.sum(dtype=int)
    np.testing.assert_array_equal(shifted(moved, -right, -up), mask)


def test_a_detection_s_own_mask_goes_before_its_box() -> None:
    outline = lit(slice(3, 4), slice(3, 5))
    boxes = [Detection((1, 1, 8, 8), 0.9, outline), Detection((1, 1, 8, 8), 0.8)]
    first, second = detail_masks(boxes, TEN, PLAIN)
    np.testing.assert_array_equal(first, outline)
    np.testing.assert_array_equal(second, filled((1, 1, 8, 8), TEN))


def test_what_shrinks_to_nothing_is_dropped() -> None:
    small, large = (1, 1, 2, 2), (4, 4, 9, 9)
    masks = detail_masks(found(small, large), TEN, Detail(dilate=-3))
    assert [int(np.count_nonzero(mask)) for mask in masks] == [25]  # the border does not eat
    assert detail_masks(found(small), TEN, Detail(dilate=-3, merge="merge and invert")) == []


def test_masks_move_before_they_grow() -> None:
    """At the border the order shows: grown first, some of the square would come round."""
    (mask,) = detail_masks(found((4, 4, 5, 5)), TEN, Detail(dilate=5, x_offset=4))
    wanted = grown(shifted(filled((4, 4, 5, 5), TEN), 4, 0), 5)
    np.testing.assert_array_equal(mask, wanted)
    assert not mask[:, 0].any()


@given(st.lists(st.tuples(*[st.integers(0, 9)] * 4), min_size=1, max_size=5))
def test_merged_is_all_of_them_and_inverted_all_else(corners: list[tuple[int, ...]]) -> None:
    boxes = found(*((min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in corners))
    single = detail_masks(boxes, TEN, PLAIN)
    (merged,) = detail_masks(boxes, TEN, replace(PLAIN, merge="merge"))
    (rest,) = detail_masks(boxes, TEN, replace(PLAIN, merge="merge and invert"))
    np.testing.assert_array_equal(merged > 0, np.any([mask > 0 for mask in single], axis=0))
    np.testing.assert_array_equal(rest, 255 - merged)


def test_nothing_found_is_no_mask() -> None:
    assert detail_masks([], TEN, Detail(merge="merge and invert")) == []


# ADetailer, tests/test_mask.py: which squares of four by four pixels share one.
def test_what_touches_a_region_as_adetailer_sees_it() -> None:
    four = Size(4, 4)
    middle = lit(slice(1, 3), slice(1, 3), four)
    corner = lit(slice(2, 4), slice(2, 4), four)
    apart = np.zeros((4, 4), np.uint8)
    apart[[0, 2, 3, 3], [0, 3, 2, 3]] = 255
    assert [each is corner for each in touching([corner, apart], middle)] == [True]
