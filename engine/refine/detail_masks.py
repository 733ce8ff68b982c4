"""From what was found to the masks that are worked on, one after the other.

The steps and their order are ADetailer's: shift, grow or shrink, drop what is empty, merge.
"""

from collections.abc import Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sakuga.engine.refine.detail import Detail
from sakuga.engine.refine.detections import Box, Detection, select
from sakuga.profiles.buckets import Size

Mask = NDArray[np.uint8]


def detail_masks(found: Sequence[Detection], size: Size, detail: Detail) -> list[Mask]:
    """The masks of a picture of this size, uint8 [height, width], 255 where it is worked on.

    In the order they are worked on; none where nothing is found that the options leave.
    """
    masks = [_outline(each, size) for each in select(found, size, detail)]
    masks = [shifted(mask, detail.x_offset, detail.y_offset) for mask in masks]
    if detail.dilate:
        masks = [mask for mask in (grown(each, detail.dilate) for each in masks) if mask.any()]
    if detail.merge == "none" or not masks:
        return masks
    merged: Mask = np.bitwise_or.reduce(masks)
    return [merged if detail.merge == "merge" else ~merged]


def touching(masks: Sequence[Mask], region: Mask) -> list[Mask]:
    """Those that share a pixel with a region, uint8 [height, width]: what is left to do where a
    picture was inpainted, and not only what was masked."""
    return [mask for mask in masks if (mask & region).any()]


def filled(box: Box, size: Size) -> Mask:
    """A box as a mask; its last row and column belong to it, as Pillow draws it."""
    picture = Image.new("L", (size.width, size.height), 0)
    ImageDraw.Draw(picture).rectangle(box, fill=255)
    return np.asarray(picture)


def shifted(mask: Mask, right: int, up: int) -> Mask:
    """Moved by so many pixels. What leaves at one side comes back at the other, as in ADetailer."""
    return np.roll(mask, (-up, right), (0, 1))


def grown(mask: Mask, side: int) -> Mask:
    """Dilated by a square of this side; a negative one erodes. Not for 0.

    As OpenCV does it: by an even side a mask grows one pixel more to the right and down, and what
    lies outside the picture neither grows in nor eats away.
    """
    extreme, outside = (np.maximum, 0) if side > 0 else (np.minimum, 255)
    for _ in range(2):  # down, then across
        length = len(mask)
        before, after = (min(reach, length) for reach in (abs(side) // 2, (abs(side) - 1) // 2))
        wide = np.pad(mask, ((before, after), (0, 0)), constant_values=outside)
        moved = (wide[at : at + length] for at in range(before + after + 1))
        mask = reduce(extreme, moved).T
    return mask


def _outline(detection: Detection, size: Size) -> Mask:
    return filled(detection.box, size) if detection.mask is None else detection.mask
