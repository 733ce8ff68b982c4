"""Masks inverted, doubled and grown."""

import cv2
import numpy as np
import pytest

from sakuga.engine.errors import UsageError
from sakuga.engine.refine.mask import doubled, grown, inverted, note_on_size, require_marks
from sakuga.profiles.buckets import Size

LEVELS = np.arange(256, dtype=np.uint8).reshape(16, 16)


def test_inverted_and_doubled() -> None:
    assert inverted(LEVELS).ravel().tolist() == [*range(255, -1, -1)]
    assert doubled(LEVELS).ravel().tolist() == [min(2 * level, 255) for level in range(256)]


def test_an_empty_mask_is_told() -> None:
    empty = np.zeros((4, 4), np.uint8)
    require_marks(inverted(empty))
    with pytest.raises(UsageError, match="empty"):
        require_marks(empty)


def test_a_mask_of_another_size_is_told() -> None:
    assert note_on_size(Size(8, 8), Size(8, 8)) is None
    assert note_on_size(Size(8, 8), Size(8, 16)) == (
        "The mask is 8x8 and its picture 8x16: the mask was resized to it."
    )


@pytest.mark.parametrize("by", [0, 1, 2, 5, 6, 40])
def test_growing_is_dilating_by_a_square(by: int) -> None:
    levels = np.random.default_rng(by).integers(0, 136, (30, 21), np.uint8)  # few from 128 on
    marked = np.where(levels >= 128, 255, 0).astype(np.uint8)
    side = max(by, 1)
    square = np.ones((side, side), np.uint8)
    anchor = (side // 2, side // 2)
    theirs = cv2.dilate(marked, square, anchor=anchor, borderValue=0)
    np.testing.assert_array_equal(grown(levels, by), theirs)


def test_an_even_square_reaches_further_right_and_down() -> None:
    mask = np.zeros((9, 9), np.uint8)
    mask[4, 4] = 255
    rows, columns = grown(mask, 6).nonzero()
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (2, 7, 2, 7)
