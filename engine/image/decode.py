"""Picture files and Pillow's pictures to pixels, with every failure told as one error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from sakuga.engine.errors import PictureFileError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
MAX_PIXELS = 1 << 26  # 8192x8192; with four channels 256 MiB

Layers = NDArray[np.uint8]

# What each of Pillow's modes without transparency becomes; its other modes are not read.
_PLAIN = {
    "1": "L",
    "L": "L",
    "P": "RGB",
    "RGB": "RGB",
    "RGBX": "RGB",
    "CMYK": "RGB",
    "YCbCr": "RGB",
    "HSV": "RGB",
}
_ORIENTATION = 0x0112

# Source: Exif 2.32, tag Orientation: where the first row and the first column are shown.
_TURNS: dict[int, Callable[[Layers], Layers]] = {
    2: lambda layers: layers[:, ::-1],
    3: lambda layers: layers[::-1, ::-1],
    4: lambda layers: layers[::-1],
    5: lambda layers: layers.swapaxes(0, 1),
    6: lambda layers: layers[::-1].swapaxes(0, 1),
    7: lambda layers: layers[::-1, ::-1].swapaxes(0, 1),
    8: lambda layers: layers[:, ::-1].swapaxes(0, 1),
}
_LYING = (5, 6, 7, 8)  # whose stored width is the height


@contextmanager
def opened(file: Path | bytes, name: str, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """A picture file with its header read. What fails inside, decoding too, is told as an error.

    Raises PictureFileError: no such file, none of FORMATS, damaged or cut, over `max_pixels`.
    """
    with (
        told(name),
        Image.open(BytesIO(file) if isinstance(file, bytes) else file, formats=FORMATS) as image,
    ):
        check_size(image.size, name, max_pixels)
        yield image


@contextmanager
def told(name: str) -> Iterator[None]:
    """Makes PictureFileErrors of whatever a decoder raises."""
    try:
        yield
    except (PictureFileError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise PictureFileError(
            f"{name} is no picture that can be read.",
            note=f"The formats are {', '.join(FORMATS)}.",
            hint="Save the picture as PNG in the program that shows it.",
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(name, f"{error}") from error
    except Exception as error:  # decoders of damaged data raise whatever it leads them to
        if isinstance(error, OSError) and error.errno is not None:
            raise PictureFileError(
                f"{name} cannot be read.", note=f"{error.strerror}.", hint="Check the path."
            ) from error
        raise PictureFileError(
            f"{name} is damaged or cut.", note=f"{error}.", hint="Find another copy of it."
        ) from error


def check_size(size: tuple[int, int], name: str, max_pixels: int) -> None:
    """Raises PictureFileError for a (width, height) of more pixels, or of none."""
    width, height = size
    if width * height > max_pixels:
        raise _too_large(name, f"It is {width}x{height}, and {max_pixels:,} pixels are read.")
    if width * height == 0:
        raise PictureFileError(f"{name} has no pixels.", note=f"Its size is {width}x{height}.")


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) as shown; only what stands before the pixels is read."""
    width, height = image.size
    return (height, width) if _orientation(image) in _LYING else (width, height)


def has_more_frames(image: Image.Image) -> bool:
    """Whether it moves or has pages. The second picture in a phone's JPEG is not counted."""
    return image.format in FORMATS and bool(getattr(image, "is_animated", False))


def layers_of(image: Image.Image, name: str) -> Layers:
    """uint8 [h, w] of a grey picture, [h, w, 3] of a coloured one, [h, w, 4] of one with
    transparency; upright. Decodes it; within `opened` or `told`.

    Raises PictureFileError for pixels without a known range.
    """
    turn = _TURNS.get(_orientation(image))
    layers = _layers(image, name)
    return np.ascontiguousarray(turn(layers) if turn else layers)


def _layers(image: Image.Image, name: str) -> Layers:
    image.load()  # a PNG's transparency may stand behind its header
    if image.mode.startswith("I;16"):
        return _of_16_bits(image)
    if image.has_transparency_data:
        straight = image.convert("LA") if image.mode == "La" else image
        return np.asarray(straight.convert("RGBA"))
    if image.mode not in _PLAIN:
        raise PictureFileError(
            f"{name} has pixels of a kind that is not read.",
            note=f"Pillow calls them {image.mode}.",
            hint="Save it with 8 bits a channel, grey or RGB.",
        )
    return np.asarray(image.convert(_PLAIN[image.mode]))


def _of_16_bits(image: Image.Image) -> Layers:
    """65535 is 255, and so 257 one level."""
    deep = np.asarray(image).astype(np.uint32)
    grey = ((deep + 128) // 257).astype(np.uint8)
    clear = image.info.get("transparency")
    if clear is None:
        return grey
    alpha = np.where(deep == clear, 0, 255).astype(np.uint8)
    return np.stack([grey, grey, grey, alpha], axis=-1)


def _orientation(image: Image.Image) -> int:
    if image.format == "TIFF":
        return 1  # Pillow turns these itself, and says their size as shown
    try:
        # Not a PNG's own `getexif`, which decodes the picture to look behind its pixels.
        return int(Image.Image.getexif(image).get(_ORIENTATION, 1))
    except Exception:  # EXIF data that cannot be read says nothing of how the picture is shown
        return 1


def _too_large(name: str, note: str) -> PictureFileError:
    return PictureFileError(f"{name} is too large.", note=note, hint="Make it smaller first.")
