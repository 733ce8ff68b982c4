"""Pixels to WebP files."""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sakuga.engine.image.exif import user_comment
from sakuga.engine.image.jpeg import check_quality

# How hard libwebp looks for a smaller lossless file. 832x1216 without noise and with noise of 1.5
# levels, one core: method 0 38 ms, 636 KiB and 25 ms, 1470 KiB; 1 149 ms, 589 KiB and 143 ms,
# 1379 KiB; 2 173 ms, 560 KiB and 165 ms, 1341 KiB; 4 the same; 6 559 ms, 546 KiB and 607 ms,
# 1312 KiB. More of "quality", here the effort of each method, costs time and gives 1 % at most.
# The same pictures as PNG: 54 ms, 726 KiB and 75 ms, 1441 KiB.
_METHOD, _EFFORT = 2, 20


@dataclass(frozen=True)
class WebpOptions:
    """`quality`: 1 to 100; None keeps every pixel."""

    quality: int | None = None

    def __post_init__(self) -> None:
        if self.quality is not None:
            check_quality(self.quality)


def encode_webp(
    pixels: NDArray[np.uint8], parameters: str, options: WebpOptions = WebpOptions()
) -> bytes:
    """uint8 [height, width, 3] to the bytes of a WebP, the same bytes every time.

    `parameters` becomes the EXIF user comment.
    """
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
    file = io.BytesIO()
    exif = user_comment(parameters)
    image = Image.fromarray(pixels)
    if options.quality is None:
        image.save(file, "WEBP", lossless=True, quality=_EFFORT, method=_METHOD, exif=exif)
    else:
        image.save(file, "WEBP", quality=options.quality, exif=exif)
    return file.getvalue()
