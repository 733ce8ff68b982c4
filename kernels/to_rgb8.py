"""The VAE's picture to bytes."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Rounding = Literal["truncate", "round"]

_BAND = 64  # picture lines converted at once: their floats stay in cache


def to_rgb8(image: NDArray[np.floating[Any]], rounding: Rounding) -> NDArray[np.uint8]:
    """[..., 3, height, width] in [-1, 1] to uint8 [..., height, width, 3].

    v = clamp(x/2 + 1/2, 0, 1), then 255·v in float32 is cut off ("truncate", as A1111 and ComfyUI
    do) or rounded, halves to even ("round", as diffusers does). All three write v differently and
    get the same float32, for halving is exact. NaN becomes 0.
    """
    height, width = image.shape[-2:]
    pixels = np.empty((*image.shape[:-3], height, width, 3), np.uint8)
    for top in range(0, height, _BAND):
        band = slice(top, top + _BAND)
        values = _levels(image[..., band, :], rounding)
        pixels[..., band, :, :] = np.moveaxis(values, -3, -1)
    return pixels


def _levels(image: NDArray[np.floating[Any]], rounding: Rounding) -> NDArray[np.uint8]:
    values: NDArray[np.float32] = np.multiply(image, np.float32(0.5), dtype=np.float32)
    values += np.float32(0.5)
    np.fmax(values, np.float32(0), out=values)
    np.fmin(values, np.float32(1), out=values)
    values *= np.float32(255)
    if rounding == "round":
        np.rint(values, out=values)
    return values.astype(np.uint8)
