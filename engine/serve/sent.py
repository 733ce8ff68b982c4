"""Pictures that come in requests: their bytes alone, for no path and no address is ever followed.

Of each the header is read at once, and what is no picture, too large or of a kind that is not taken
is refused before a pixel is decoded. That happens later, on another thread (`check_pictures`).
"""

import asyncio
import base64
import binascii
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from PIL import Image

from sakuga.engine.errors import PictureFileError, UsageError
from sakuga.engine.image import decode
from sakuga.engine.image.source import HALF, Source
from sakuga.engine.refine.mask import inverted, require_marks
from sakuga.engine.runtime.stages import Init

MOST_PIXELS = 1 << 24  # of a picture that is sent: 4096x4096
MOST_BYTES = 20 << 20  # of its file
T = TypeVar("T")
_KINDS = "PNG, JPEG and WebP"
_DECODERS = ThreadPoolExecutor(2, "sakuga-decode")  # each may take 64 MiB


def picture_in(text: str, field: str) -> Source:
    """A picture in base64, with or without `data:image/png;base64,` before it. Raises UsageError,
    PictureFileError."""
    encoded = text.partition(",")[2] if text[:5].casefold() == "data:" else text
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UsageError(
            f"{field} is no base64.",
            note="Paths and addresses are not followed.",
            hint="Send the picture itself: a PNG, JPEG or WebP file's bytes in base64.",
        ) from error
    return picture_of(data, field)


def picture_of(data: bytes, field: str) -> Source:
    """A picture file's bytes, as far as its header is one that is taken. Raises PictureFileError
    for what is none, has several frames or inks instead of light, or is too large."""
    if len(data) > MOST_BYTES:
        raise _too_large(field, f"Its file has {len(data):,} bytes; {MOST_BYTES:,} are taken.")
    if not _looks_known(data):  # of other formats not even the header is looked at
        raise PictureFileError(
            f"{field} is no picture that is taken here.",
            note=f"{_KINDS} are.",
            hint="Send such a file's bytes.",
        )
    with decode.opened(data, field, MOST_PIXELS) as image:
        _check_kind(image, field)
    return Source.of(data)


async def check_pictures(init: Init, field: str = "init.picture", mask: str = "mask") -> None:
    """Decode what a request begins from, so that what is damaged is known before anything is
    promised. `field` and `mask`: what they are called there. Raises PictureFileError, UsageError.
    """
    await decoded(init.picture.read, field)
    if init.mask is not None:
        await decoded(lambda: _check_mask(init, mask), mask)


async def decoded(work: Callable[[], T], field: str) -> T:
    """What comes of decoding a picture, on another thread and few at once. Raises
    PictureFileError."""
    try:
        return await asyncio.get_running_loop().run_in_executor(_DECODERS, work)
    except PictureFileError as error:
        what = error.what.replace("This picture", field, 1)
        raise PictureFileError(what, note=error.note, hint=error.hint) from error


def _check_mask(init: Init, field: str) -> None:
    assert init.mask is not None
    mask, picture = init.mask.picture.size, init.picture.size
    if mask != picture:
        raise UsageError(
            f"{field} is of another size than its picture.",
            note=f"It is {mask}, and the picture {picture}.",
            hint="Draw it on a copy of the picture.",
        )
    drawn = init.mask.picture.read_mask(None if init.mask.soft else HALF)
    require_marks(inverted(drawn) if init.mask.invert else drawn)


def _looks_known(data: bytes) -> bool:
    webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    return webp or data.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"))


def _check_kind(image: Image.Image, field: str) -> None:
    if decode.has_more_frames(image):
        raise PictureFileError(
            f"{field} has several frames.", hint="Send the one to begin from, as a PNG."
        )
    if image.mode == "CMYK":
        raise PictureFileError(
            f"{field} has the four inks of print (CMYK).",
            note="What colours they are on a screen depends on the printer.",
            hint="Convert it to RGB in the program that shows it rightly.",
        )


def _too_large(field: str, note: str) -> PictureFileError:
    return PictureFileError(f"{field} is too large.", note=note, hint="Send a smaller one.")
