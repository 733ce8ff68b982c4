"""Outlines of what was found, from a network's prototypes, in pixels of the picture."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sakuga.engine.refine.letterbox import Letterbox

Values = NDArray[np.float32]


def outlines(
    boxes: Values, coefficients: Values, prototypes: Values, letterbox: Letterbox
) -> list[NDArray[np.uint8]]:
    """A mask for each of the boxes [n, 4] of the picture, uint8 [height, width], 0 or 255.

    What the coefficients [n, c] make of the prototypes [c, h, w] is positive inside the outline;
    it is taken linearly between its points, and counts inside the box alone.
    """
    depth, height, width = prototypes.shape
    logits = (coefficients @ prototypes.reshape(depth, -1)).reshape(-1, height, width)
    return [_outline(box, each, letterbox) for box, each in zip(boxes, logits, strict=True)]


def _outline(box: Values, logits: Values, letterbox: Letterbox) -> NDArray[np.uint8]:
    picture = letterbox.picture
    mask = np.zeros((picture.height, picture.width), np.uint8)
    left, top = math.floor(box[0]), math.floor(box[1])
    right, bottom = math.ceil(box[2]), math.ceil(box[3])
    height, width = logits.shape
    scale = np.tile((width / letterbox.outer.width, height / letterbox.outer.height), 2)
    corners = np.array([[left, top, right, bottom]], np.float32)
    place = np.clip(letterbox.to_input(corners)[0] * scale, 0, np.tile((width, height), 2))
    values = Image.fromarray(logits).resize(
        (right - left, bottom - top),
        Image.Resampling.BILINEAR,
        (float(place[0]), float(place[1]), float(place[2]), float(place[3])),
    )
    mask[top:bottom, left:right] = np.where(np.asarray(values) > 0, 255, 0)
    return mask
