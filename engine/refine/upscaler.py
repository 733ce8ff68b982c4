"""A network that enlarges pictures, run over a large one in overlapping tiles."""

from collections.abc import Generator
from math import lcm
from typing import Protocol, TypeAlias

import numpy as np
from PIL import Image

from sakuga.engine.backend.base import Pixels, Session
from sakuga.engine.errors import RenderError
from sakuga.engine.upscaler_folder import SideRule, UpscalerFolder
from sakuga.kernels.tiles import Blend, Grid, Values
from sakuga.profiles.buckets import Size

PASSES = 3  # at most, as A1111's Upscaler.upscale takes them

# Pauses before each tile, saying which it is and of how many; ends with the picture.
Enlarging: TypeAlias = Generator[tuple[int, int], None, Pixels]


class Enlarger(Protocol):
    """Whatever makes a picture of another size out of one. `hash`: ten hex digits of its file,
    empty where it is none."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def hash(self) -> str:
        """The first ten hex digits of its file's SHA-256."""
        ...

    def enlarge(self, pixels: Pixels, size: Size) -> Enlarging:
        """The picture, uint8 [h, w, 3], at exactly this size."""
        ...


class Upscaler:
    """A network of an upscaler's folder, on whatever `session` runs it: a picture in [0, 1],
    float32 [1, 3, h, w], to one `scale` times as large."""

    def __init__(self, folder: UpscalerFolder, session: Session) -> None:
        self._manifest = folder.manifest
        self._session = session

    @property
    def name(self) -> str:
        """What the upscaler was called when it was built."""
        return self._manifest.name

    @property
    def scale(self) -> int:
        """How many times as large its pictures are."""
        return self._manifest.scale

    @property
    def hash(self) -> str:
        """The first ten hex digits of the SHA-256 of the file it was built from."""
        return self._manifest.hash

    def once(self, pixels: Pixels) -> Enlarging:
        """The picture, uint8 [h, w, 3], as uint8 [h · scale, w · scale, 3].

        Rounded to the nearest level. Raises RenderError where the network gives NaN or infinity.
        """
        picture = pixels.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
        picture = padded(picture, self._manifest.sides)
        grid = self._grid(*picture.shape[1:])
        blend, windows = Blend(grid, 3, self.scale), list(grid)
        for number, window in enumerate(windows):
            yield number, len(windows)
            blend.add(window, self._tile(picture[:, window.rows, window.columns]))
        height, width, _ = pixels.shape
        found = blend.whole[:, : height * self.scale, : width * self.scale]
        levels = np.rint(np.clip(found, 0, 1) * 255).astype(np.uint8)
        return np.ascontiguousarray(levels.transpose(1, 2, 0))

    def _grid(self, height: int, width: int) -> Grid:
        """Tiles whose corners lie where the network's own windows would in the whole picture."""
        step, side = self._manifest.sides.multiple, self._manifest.sides.tile(self._manifest.tile)
        overlap = min(self._manifest.overlap, side - step)
        aligned = lcm(step, self._manifest.window or 1)
        if side % aligned == 0 and aligned + overlap <= side:
            step = aligned
        return Grid(height, width, (side, side), overlap, step)

    def enlarge(self, pixels: Pixels, size: Size) -> Enlarging:
        """The picture at this size: passes through the network, three at most, until both sides
        are long enough, then Lanczos to the exact size, as A1111 does it."""
        same = pixels.shape[:2] == (size.height, size.width)  # then A1111 runs it all the same
        for number in range(PASSES if self.scale > 1 else 1):
            height, width, _ = pixels.shape
            if width >= size.width and height >= size.height and (number > 0 or not same):
                break
            pixels = yield from self.once(pixels)
        return resampled(pixels, size, Image.Resampling.LANCZOS)

    def _tile(self, picture: Values) -> Values:
        """One tile, [3, h, w], through the network: [3, h · scale, w · scale]."""
        (found,) = self._session.run({"image": np.ascontiguousarray(picture[None])}).values()
        if not np.isfinite(found).all():
            raise RenderError(
                f"The upscaler {self.name} gave values that are no numbers.",
                note="Its values are too large for the precision it runs in, or its file is "
                "damaged.",
                hint="Build it again from a fresh download. On a processor (--backend onnx) it "
                "runs in float32.",
            )
        tile: Values = found[0]
        return tile


class Resampler:
    """A filter in place of a network: it needs no file and takes any size in one go."""

    def __init__(self, name: str, method: Image.Resampling) -> None:
        self._name, self._method = name, method

    @property
    def name(self) -> str:
        """What A1111 calls it."""
        return self._name

    @property
    def hash(self) -> str:
        """It has no file."""
        return ""

    def enlarge(self, pixels: Pixels, size: Size) -> Enlarging:
        """The picture, uint8 [h, w, 3], at this size."""
        yield 0, 1
        return resampled(pixels, size, self._method)


def target_size(size: Size, scale: float) -> Size:
    """The size of an upscaled picture: A1111 cuts it down to multiples of eight."""
    return Size(int(size.width * scale // 8 * 8), int(size.height * scale // 8 * 8))


def resampled(pixels: Pixels, size: Size, method: Image.Resampling) -> Pixels:
    """The picture, uint8 [h, w, 3], at another size by Pillow's filters; itself at its own."""
    if pixels.shape[:2] == (size.height, size.width):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((size.width, size.height), method))


def padded(picture: Values, sides: SideRule) -> Values:
    """A picture, float32 [3, h, w], with sides the network takes: reflected beyond its lower and
    right edges, again and again where it is short."""
    _, height, width = picture.shape
    wanted = sides.fitting(height), sides.fitting(width)
    if sides.square:
        wanted = (max(wanted), max(wanted))
    below, right = wanted[0] - height, wanted[1] - width
    if below == right == 0:
        return picture
    return np.pad(picture, ((0, 0), (0, below), (0, right)), mode="reflect")
