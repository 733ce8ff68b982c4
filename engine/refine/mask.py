"""Masks of pictures: uint8 [h, w], 255 where something is to be made."""

import numpy as np

from sakuga.engine.backend.base import Pixels
from sakuga.engine.errors import UsageError
from sakuga.profiles.buckets import Size

HALF = 128  # the first level that is nearer to white


def inverted(mask: Pixels) -> Pixels:
    """What was kept is made, and the other way round."""
    return 255 - mask


def require_marks(mask: Pixels) -> None:
    """Raises UsageError for a mask that is black everywhere, which would leave nothing to do;
    A1111 drops it and makes the whole picture anew where it should make only what is masked."""
    if not mask.any():
        raise UsageError(
            "The mask is empty: it marks nothing to be made.",
            note="White is made, black is kept; of a picture with transparency the alpha counts.",
            hint="Draw in white on black, or invert the mask.",
        )


def note_on_size(mask: Size, picture: Size) -> str | None:
    """What to tell of a mask of another size than its picture's; it is resized as the picture."""
    if mask == picture:
        return None
    return f"The mask is {mask} and its picture {picture}: the mask was resized to it."


def doubled(mask: Pixels) -> Pixels:
    """Through which a whole picture is pasted: up to twice as much, so that the blur's soft rim
    lies outside what was drawn and not half within. Source: A1111, `modules/processing.py`."""
    return np.minimum(2 * mask.astype(np.uint16), 255).astype(np.uint8)
