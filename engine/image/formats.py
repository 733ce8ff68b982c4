"""Which format a picture is written in: by a file's name, or by the format's own."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.errors import UsageError
from sakuga.engine.image.jpeg import JpegOptions, encode_jpeg
from sakuga.engine.image.png import PngOptions, encode_png
from sakuga.engine.image.webp import WebpOptions, encode_webp

Options = PngOptions | JpegOptions | WebpOptions

# Every suffix; of a format's, the first is the usual one.
SUFFIXES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}


@dataclass(frozen=True)
class FileFormat:
    """How a picture file ends and how it is encoded."""

    suffix: str
    options: Options


PNG = FileFormat(".png", PngOptions())


def format_of_name(path: Path, quality: int | None = None) -> FileFormat:
    """The format a file's name asks for.

    Raises UsageError for a suffix of no known format, and for a quality that is none.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"{path} does not say which format to write.",
            note=f"Pictures are written as {', '.join(SUFFIXES)}.",
            hint=f"Call it {path.with_suffix('.png').name}, for example.",
        )
    return FileFormat(path.suffix, _options(SUFFIXES[suffix], quality))


def format_called(name: str, quality: int | None = None) -> FileFormat:
    """The format called `name`: png, jpeg or webp. Raises as `format_of_name`."""
    suffixes = [suffix for suffix, format in SUFFIXES.items() if format == name]
    if not suffixes:
        known = ", ".join(dict.fromkeys(SUFFIXES.values()))
        raise UsageError(f"There is no format called {name!r}.", hint=f"Use one of {known}.")
    return FileFormat(suffixes[0], _options(name, quality))


def encode(pixels: NDArray[np.uint8], parameters: str, options: Options) -> bytes:
    """uint8 [height, width, 3] to the bytes of a picture file. Raises as the format's encoder."""
    match options:
        case PngOptions():
            return encode_png(pixels, parameters)
        case JpegOptions():
            return encode_jpeg(pixels, parameters, options)
        case WebpOptions():
            return encode_webp(pixels, parameters, options)


def _options(name: str, quality: int | None) -> Options:
    if name == "webp":
        return WebpOptions(quality)
    if name == "jpeg":
        return JpegOptions() if quality is None else JpegOptions(quality)
    if quality is not None:
        raise UsageError(
            "A PNG has no quality: it keeps every pixel.",
            hint="Leave it out, or write webp or jpeg.",
        )
    return PngOptions()
