"""Pixels to JPEG files."""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sakuga.engine.errors import MetadataError, UsageError
from sakuga.engine.image.exif import HEADER, user_comment

_LONGEST = 65_533 - len(HEADER)  # bytes of the one segment EXIF has to fit in


def check_quality(quality: int) -> None:
    """Raises UsageError for a quality that is none."""
    if not 1 <= quality <= 100:
        raise UsageError(
            f"The quality of a picture cannot be {quality}.", hint="Give a number from 1 to 100."
        )


@dataclass(frozen=True)
class JpegOptions:
    """`quality`: 1 to 100. Colours keep their full resolution, for lines and flat fills need it."""

    quality: int = 95

    def __post_init__(self) -> None:
        check_quality(self.quality)


def encode_jpeg(
    pixels: NDArray[np.uint8], parameters: str, options: JpegOptions = JpegOptions()
) -> bytes:
    """uint8 [height, width, 3] to the bytes of a JPEG, the same bytes every time.

    `parameters` becomes the EXIF user comment. Raises MetadataError where it is too long for one.
    """
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
    exif = user_comment(parameters)
    if len(exif) > _LONGEST:
        raise MetadataError(
            "The settings are too long for a JPEG.",
            note=f"They take {len(exif):,} bytes, and EXIF has room for {_LONGEST:,}.",
            hint="Save the picture as PNG or WebP.",
        )
    file = io.BytesIO()
    Image.fromarray(pixels).save(
        file, "JPEG", quality=options.quality, subsampling="4:4:4", exif=HEADER + exif
    )
    return file.getvalue()
