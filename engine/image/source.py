"""A picture that comes in: a file, a file's bytes, or pixels."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sakuga.engine.digests import file_sha256
from sakuga.engine.errors import UsageError
from sakuga.engine.image import decode
from sakuga.engine.image.decode import MAX_PIXELS, Layers
from sakuga.profiles.buckets import Size

HALF = 128  # A1111's: above it, a drawn mask's alpha counts as drawn

Given = str | Path | bytes | NDArray[np.uint8] | Image.Image


@dataclass(frozen=True)
class Raster:
    """Pixels that nobody changes any more: the bytes of a uint8 array of this shape."""

    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def of(cls, layers: Layers) -> "Raster":
        """Copies them."""
        return cls(layers.shape, layers.tobytes())

    @property
    def layers(self) -> Layers:
        """The array, not to be written to."""
        return np.frombuffer(self.data, np.uint8).reshape(self.shape)


@dataclass(frozen=True, repr=False)
class Source:
    """A picture to begin with, or a mask. A file is opened when something of it is asked for."""

    origin: Path | bytes | Raster

    @classmethod
    def of(cls, picture: Given) -> "Source":
        """A path, a picture file's bytes, uint8 pixels [h, w], [h, w, 3] or [h, w, 4], or Pillow's
        picture (of which, as of pixels, a copy is kept).

        Raises UsageError for anything else, PictureFileError for a picture of Pillow's that cannot
        be decoded.
        """
        match picture:
            case str() | Path():
                return cls(Path(picture))
            case bytes():
                return cls(picture)
            case Image.Image():
                return cls(Raster.of(_decoded(picture)))
            case np.ndarray():
                return cls(Raster.of(_checked(picture)))
        raise UsageError(
            f"{type(picture).__name__} is no picture.",
            hint="Give a path, a picture file's bytes, a NumPy array or a picture of Pillow's.",
        )

    def __repr__(self) -> str:
        return f"Source({self.name})"

    @property
    def name(self) -> str:
        """What messages call it."""
        return str(self.origin) if isinstance(self.origin, Path) else "This picture"

    @property
    def size(self) -> Size:
        """Its size as shown; of a file the header is read. Raises PictureFileError."""
        if isinstance(self.origin, Raster):
            height, width, *_ = self.origin.shape
            return Size(width, height)
        with decode.opened(self.origin, self.name) as image:
            return Size(*decode.upright_size(image))

    @property
    def digest(self) -> str:
        """SHA-256 in hex: of the file's bytes, or of the pixels behind their shape."""
        match self.origin:
            case Path():
                with decode.told(self.name):
                    return file_sha256(self.origin)
            case bytes():
                return hashlib.sha256(self.origin).hexdigest()
        shape = ",".join(map(str, self.origin.shape)).encode()
        return hashlib.sha256(shape + b":" + self.origin.data).hexdigest()

    @property
    def notes(self) -> tuple[str, ...]:
        """What of it will not be used, as sentences; of a file the header is read."""
        if isinstance(self.origin, Raster):
            return ()
        with decode.opened(self.origin, self.name) as image:
            more = decode.has_more_frames(image)
        return (f"{self.name} has several frames; the first is used.",) if more else ()

    def read(self, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
        """The pixels [height, width, 3], upright, what is transparent on white, of several frames
        the first. Raises PictureFileError, also for more than `max_pixels`."""
        layers = self._layers(max_pixels)
        if layers.ndim == 2:
            return np.repeat(layers[..., None], 3, axis=2)
        return layers if layers.shape[2] == 3 else _on_white(layers)

    def read_mask(
        self, threshold: int | None = HALF, max_pixels: int = MAX_PIXELS
    ) -> NDArray[np.uint8]:
        """The picture as a mask [height, width], 255 where something is to be made.

        Of a picture with transparency it is the alpha channel, 255 above `threshold` and 0 up to
        it, or as it is with None. Of any other it is the luminance, as it is. Raises as `read`.
        Source: A1111, `create_binary_mask`; `threshold` None is its `mask_round` off.
        """
        layers = self._layers(max_pixels)
        if layers.ndim == 2:
            return layers
        if layers.shape[2] == 4 and layers[..., 3].min() < 255:
            alpha = layers[..., 3]
            return alpha if threshold is None else 255 * (alpha > threshold).astype(np.uint8)
        return np.asarray(Image.fromarray(layers).convert("L"))

    def _layers(self, max_pixels: int) -> Layers:
        if isinstance(self.origin, Raster):
            height, width, *_ = self.origin.shape
            decode.check_size((width, height), self.name, max_pixels)
            return self.origin.layers
        with decode.opened(self.origin, self.name, max_pixels) as image:
            return decode.layers_of(image, self.name)


def _decoded(image: Image.Image) -> Layers:
    name = "This picture"
    decode.check_size(image.size, name, MAX_PIXELS)
    with decode.told(name):
        return decode.layers_of(image, name)


def _checked(pixels: NDArray[np.generic]) -> Layers:
    shape = pixels.shape
    channels = shape[2:] in ((), (3,), (4,))
    if len(shape) not in (2, 3) or not channels or 0 in shape:
        raise UsageError(
            "This array is no picture.",
            note=f"Its shape is {shape}.",
            hint="Pictures are [height, width], [height, width, 3] or [height, width, 4].",
        )
    if pixels.dtype != np.uint8:
        raise UsageError(
            "This array holds no pixels.",
            note=f"Its type is {pixels.dtype}.",
            hint="Pixels are uint8 from 0 to 255: multiply shares by 255, round, and convert.",
        )
    return pixels.astype(np.uint8, copy=False)


def _on_white(layers: Layers) -> NDArray[np.uint8]:
    """A1111's default background of pictures to begin with."""
    picture = Image.fromarray(layers)
    white = Image.new("RGB", picture.size, "white")
    white.paste(picture.convert("RGB"), mask=picture.getchannel("A"))
    return np.asarray(white)
