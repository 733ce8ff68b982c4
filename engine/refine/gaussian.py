"""Gaussian blur of masks, the same levels as OpenCV's on bytes.

Source: A1111, `modules/processing.py`, for the kernel's length; OpenCV,
`modules/imgproc/src/smooth.dispatch.cpp`, for its arithmetic on bytes: weights are multiples of
1/256, what rounding one leaves goes to the next, and pixels mirror at the border without repeating
it.
"""

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.backend.base import Pixels

_ONE = 256


def blurred(mask: Pixels, sigma_x: float, sigma_y: float) -> Pixels:
    """uint8 [h, w] blurred along its rows, then along its columns; 0 leaves them as they are."""
    if sigma_x > 0:
        mask = np.ascontiguousarray(_along_columns(np.ascontiguousarray(mask.T), sigma_x).T)
    return _along_columns(mask, sigma_y) if sigma_y > 0 else mask


def _along_columns(mask: Pixels, sigma: float) -> Pixels:
    sides, middle = _weights(sigma)
    far, height = len(sides), len(mask)
    padded = np.pad(mask, ((far, far), (0, 0)), mode="reflect").astype(np.uint16)
    total = middle * padded[far : far + height] + np.uint16(_ONE // 2)
    for at, weight in enumerate(sides):
        mirrored = 2 * far - at
        total += weight * (padded[at : at + height] + padded[mirrored : mirrored + height])
    return (total // np.uint16(_ONE)).astype(np.uint8)


@cache
def _weights(sigma: float) -> tuple[list[np.uint16], np.uint16]:
    """Those of one side from the outermost, and the one in the middle: all together are 256."""
    far = int(2.5 * sigma + 0.5)
    bell: NDArray[np.float64] = np.exp(-0.5 * (np.arange(-far, 0) / sigma) ** 2)
    shares = bell / (2 * math.fsum(bell) + 1) * _ONE
    sides, rest = list[int](), 0.0
    for share in shares:
        sides.append(round(share + rest))
        rest += share - sides[-1]
    return [np.uint16(weight) for weight in sides], np.uint16(_ONE - 2 * sum(sides))
