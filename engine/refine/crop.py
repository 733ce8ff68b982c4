"""Only what is masked: which part of a picture that is, and that part in the size to render.

Source: A1111, `modules/masking.py`, `get_crop_region_v2` and `expand_crop_region`; diffusers'
`VaeImageProcessor.get_crop_region` comes to the same.
"""

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.backend.base import Pixels
from sakuga.engine.refine.mask import require_marks
from sakuga.engine.refine.resize import resized
from sakuga.kernels.tiles import Window
from sakuga.profiles.buckets import Size


def masked_window(mask: Pixels, padding: int, target: Size) -> Window:
    """The part of a picture around what its mask [h, w] marks at all, with `padding` pixels on
    each side and then grown to the aspect of `target`, as far as the picture goes. A1111 looks at
    the mask once it is blurred, diffusers as it was drawn.

    Raises UsageError for an empty mask.
    """
    require_marks(mask)
    top, height = _padded(np.any(mask, axis=1), padding)
    left, width = _padded(np.any(mask, axis=0), padding)
    return expanded(Window(top, left, height, width), target, Size(*mask.shape[::-1]))


def expanded(window: Window, target: Size, whole: Size) -> Window:
    """The window grown in one direction to the aspect of `target`, evenly to both sides, moved
    back into the whole where it would leave it, and cut where it is larger than that."""
    # In floating point and rounded down, as the sources do: exact fractions would differ by one.
    aspect = target.width / target.height
    top, left, height, width = window.top, window.left, window.height, window.width
    if width / height > aspect:
        top, height = _grown(top, height, width / aspect, whole.height)
    else:
        left, width = _grown(left, width, height * aspect, whole.width)
    return Window(top, left, height, width)


def cropped(pixels: Pixels, window: Window, target: Size) -> Pixels:
    """That part of uint8 [h, w, …] in the size `target`. Where the aspect could not be reached its
    edges continue."""
    return resized(pixels[window.rows, window.columns], target, "fill")


def _padded(marked: NDArray[np.bool_], padding: int) -> tuple[int, int]:
    """Where the marks of one axis begin, and how far they go."""
    (places,) = marked.nonzero()
    start = max(int(places[0]) - padding, 0)
    return start, min(int(places[-1]) + 1 + padding, len(marked)) - start


def _grown(start: int, length: int, wanted: float, limit: int) -> tuple[int, int]:
    more = int(wanted - length)
    start -= more // 2
    length += more
    start = max(min(start, limit - length), 0)
    return start, min(length, limit)
