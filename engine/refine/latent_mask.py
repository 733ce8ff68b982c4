"""A mask in the size of the latent: float32 [latent height, latent width], 1 where it is made.

Each tool has its own rule. `mask` is uint8 [h, w] of the picture as it is rendered; `latent` is
(height, width).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sakuga.engine.backend.base import Pixels
from sakuga.engine.refine.mask import HALF

Values = NDArray[np.float32]


def a1111(mask: Pixels, latent: tuple[int, int]) -> Values:
    """Resized, and made or kept by the half. Source: `modules/processing.py`."""
    return np.around(a1111_soft(mask, latent))


def a1111_soft(mask: Pixels, latent: tuple[int, int]) -> Values:
    """The same without rounding, as with `mask_round` off. Pillow's bicubic filter."""
    height, width = latent
    small = Image.fromarray(mask).resize((width, height))
    return np.asarray(small, np.float32) / np.float32(255)


def diffusers(mask: Pixels, latent: tuple[int, int]) -> Values:
    """Made from half on, of each latent point by the pixel at its upper left corner.

    Source: `VaeImageProcessor.binarize` and torch's nearest interpolation.
    """
    rows, columns = (
        np.arange(count) * side // count for count, side in zip(latent, mask.shape, strict=True)
    )
    return (mask[np.ix_(rows, columns)] >= HALF).astype(np.float32)


def comfy(mask: Pixels, latent: tuple[int, int]) -> Values:
    """Shares of both, between the pixels in the middle of each latent point.

    Source: `comfy/utils.py`, `reshape_mask`, torch's bilinear interpolation.
    """
    values = mask.astype(np.float32) / np.float32(255)
    return _between(_between(values, latent[0]).T, latent[1]).T


RULES: dict[str, Callable[[Pixels, tuple[int, int]], Values]] = {
    "a1111": a1111,
    "comfy": comfy,
    "diffusers": diffusers,
}


def _between(values: Values, count: int) -> Values:
    """Rows of `values` read off at `count` places, the middles of as many parts."""
    last = len(values) - 1
    place = np.clip((np.arange(count) + 0.5) * (len(values) / count) - 0.5, 0, last)
    before = place.astype(np.intp)
    share = (place - before).astype(np.float32)[:, None]
    result: Values = values[before] * np.subtract(1, share, dtype=np.float32)
    result += values[np.minimum(before + 1, last)] * share
    return result
