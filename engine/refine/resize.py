"""Pictures and masks to another size, stretched, cropped or with filled edges.

Source: A1111, `modules/images.py`, `resize_image` 0, 1 and 2; diffusers' `VaeImageProcessor` calls
them default, crop and fill and does the same with its default filter, Lanczos.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from PIL import Image

from sakuga.engine.backend.base import Pixels
from sakuga.profiles.buckets import Size

Fit = Literal["stretch", "crop", "fill"]
Filter = Literal["lanczos", "bicubic", "bilinear", "nearest"]

# They weigh all pixels that become one, where torch's of these names look at the nearest alone.
_FILTERS: dict[Filter, Image.Resampling] = {
    "lanczos": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "nearest": Image.Resampling.NEAREST,
}


def resized(pixels: Pixels, size: Size, fit: Fit = "stretch", filter: Filter = "lanczos") -> Pixels:
    """uint8 [h, w, 3] or [h, w] as [size.height, size.width, …].

    `fit`: what becomes of another aspect. "stretch" distorts, "crop" keeps the middle, "fill"
    keeps all and continues the outermost rows or columns.
    """
    if (size.height, size.width) == pixels.shape[:2]:
        return pixels
    return _FITS[fit](Image.fromarray(pixels), size, _FILTERS[filter])


def middle(pixels: Pixels, size: Size) -> Pixels:
    """The middle of uint8 [h, w, …], as it is."""
    top, left = (pixels.shape[0] - size.height) // 2, (pixels.shape[1] - size.width) // 2
    return np.ascontiguousarray(pixels[top : top + size.height, left : left + size.width])


def _stretched(image: Image.Image, size: Size, filter: Image.Resampling) -> Pixels:
    return np.asarray(image.resize((size.width, size.height), filter))


def _cropped(image: Image.Image, size: Size, filter: Image.Resampling) -> Pixels:
    large = _in_proportion(image, size, filter, by_width=_is_wider(size, image))
    left, top = large.shape[1] // 2 - size.width // 2, large.shape[0] // 2 - size.height // 2
    return large[top : top + size.height, left : left + size.width]


def _filled(image: Image.Image, size: Size, filter: Image.Resampling) -> Pixels:
    small = _in_proportion(image, size, filter, by_width=not _is_wider(size, image))
    height, width = small.shape[:2]
    top, left = size.height // 2 - height // 2, size.width // 2 - width // 2
    result = np.empty((size.height, size.width, *small.shape[2:]), np.uint8)
    result[top : top + height, left : left + width] = small
    if width == size.width:
        result[:top] = _border(small, (width, 1), (0, 0, width, 0))
        result[top + height :] = _border(small, (width, 1), (0, height, width, height))
    else:
        result[:, :left] = _border(small, (1, height), (0, 0, 0, height))
        result[:, left + width :] = _border(small, (1, height), (width, 0, width, height))
    return result


def _border(small: Pixels, size: tuple[int, int], line: tuple[int, int, int, int]) -> Pixels:
    """What lies on a line around the picture: Pillow's bicubic reads it off the two rows or
    columns next to it, as A1111 has it do."""
    return np.asarray(Image.fromarray(small).resize(size, box=line))


def _is_wider(size: Size, image: Image.Image) -> bool:
    return size.width * image.height > image.width * size.height


def _in_proportion(
    image: Image.Image, size: Size, filter: Image.Resampling, by_width: bool
) -> Pixels:
    """Resized to the width, or to the height, of `size`; the other side follows, rounded down."""
    if by_width:
        sides = size.width, max(1, image.height * size.width // image.width)
    else:
        sides = max(1, image.width * size.height // image.height), size.height
    return np.asarray(image.resize(sides, filter))


_FITS: dict[Fit, Callable[[Image.Image, Size, Image.Resampling], Pixels]] = {
    "stretch": _stretched,
    "crop": _cropped,
    "fill": _filled,
}
