"""Masks inverted and doubled, and what is told of them."""

import numpy as np
import pytest

from sakuga.engine.errors import UsageError
from sakuga.engine.refine.mask import doubled, inverted, note_on_size, require_marks
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
