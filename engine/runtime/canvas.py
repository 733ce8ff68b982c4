"""What a pass begins from in pixels, and what becomes of its picture: masks, fills, crops, pastes.

Source of the order: `StableDiffusionProcessingImg2Img.init` in A1111's modules/processing.py.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.backend.base import Pixels
from sakuga.engine.refine import latent_mask
from sakuga.engine.refine.crop import cropped, masked_window
from sakuga.engine.refine.fill import Fill, filled
from sakuga.engine.refine.gaussian import blurred
from sakuga.engine.refine.mask import doubled, inverted, require_marks
from sakuga.engine.refine.paste import overlaid, pasted
from sakuga.engine.refine.resize import Fit, middle, resized
from sakuga.engine.runtime.settings import Later
from sakuga.engine.runtime.stages import Init, Mask, blur_of
from sakuga.engine.sampling.compat import Compat
from sakuga.kernels.tiles import Window
from sakuga.profiles.buckets import Size

Values = NDArray[np.float32]


@dataclass(frozen=True)
class Part:
    """The part to paint anew, as `stages.Mask` has it; `mask` uint8 [h, w], its picture's size."""

    mask: Pixels
    fill: Fill = Fill.ORIGINAL
    cut_out: bool = True
    padding: int = 32
    soft: bool = False


@dataclass(frozen=True, eq=False)
class Canvas:
    """`pixels` are encoded, uint8 [height, width, 3] of the pass's size. `mask`: float32 [height,
    width] of its latent, 1 where it is painted anew, None for everywhere; `drawn`: the same, uint8
    [height, width] of the pass's size; `fill`: what that part of the latent begins from. `original`
    and `overlay`, uint8 [h, w], say how the picture goes back; `window`: where, None for all of it.
    """

    pixels: Pixels
    mask: Values | None = None
    fill: Fill = Fill.ORIGINAL
    drawn: Pixels | None = None
    original: Pixels | None = None
    overlay: Pixels | None = None
    window: Window | None = None

    def put_back(self, made: Pixels) -> Pixels:
        """The picture after the pass, with all that is outside the mask as it was."""
        if self.original is None or self.overlay is None:
            return made
        if self.window is None:
            return overlaid(self.original, made, self.overlay)
        return pasted(self.original, made, self.overlay, self.window)


def canvas_of(init: Init, size: Size, compat: Compat) -> Canvas:
    """Of a request that begins from a picture. Raises PictureFileError, UsageError."""
    picture = init.picture.read()
    fit = _fit(init)
    if init.mask is None:
        return Canvas(picture if init.resize == "latent" else resized(picture, size, fit))
    part = _part(init.mask, Size(picture.shape[1], picture.shape[0]), compat)
    if part.cut_out:
        return cut_out(picture, part, size, compat)
    return whole(resized(picture, size, fit), part, resized(part.mask, size, fit), compat)


def painted_region(init: Init, size: Size) -> Pixels | None:
    """Where a picture was painted anew by a first pass of this size, uint8 [h, w], as it was drawn;
    None where it has no mask, or one whose part was cut out. Raises PictureFileError.

    Source: ADetailer, `pred_preprocessing`: what is found elsewhere is left alone, but not where
    only what is masked was worked on.
    """
    if init.mask is None or init.mask.area == "masked":
        return None
    drawn = resized(_drawn(init.mask), init.picture.size)
    return resized(drawn, size, _fit(init))


def carried(region: Pixels, later: Iterable[Later]) -> Pixels:
    """The same after stages that enlarge the picture, and maybe cut it."""
    for each in later:
        region = middle(resized(region, each.whole or each.size), each.size)
    return region


def cut_out(picture: Pixels, part: Part, size: Size, compat: Compat) -> Canvas:
    """The part and its surroundings, at the size of the pass."""
    window = masked_window(part.mask, part.padding, size)
    mask = cropped(part.mask, window, size)
    pixels = cropped(picture, window, size)
    return Canvas(
        filled(pixels, mask) if part.fill.changes_pixels else pixels,
        _latent_mask(mask, size, part, compat),
        part.fill,
        mask,
        picture,
        part.mask,
        window,
    )


def whole(picture: Pixels, part: Part, mask: Pixels, compat: Compat) -> Canvas:
    """All of the picture. What is outside the mask is put back by A1111 alone."""
    size = Size(picture.shape[1], picture.shape[0])
    back = compat.name == "a1111"
    return Canvas(
        filled(picture, mask) if part.fill.changes_pixels else picture,
        _latent_mask(mask, size, part, compat),
        part.fill,
        mask,
        picture if back else None,
        doubled(mask) if back else None,
    )


def _part(mask: Mask, picture: Size, compat: Compat) -> Part:
    """The mask as it is drawn, inverted and blurred, in its picture's size."""
    drawn = resized(_drawn(mask), picture)
    require_marks(drawn)
    blur = blur_of(mask, compat.name)
    soft = blurred(drawn, blur, blur) if blur else drawn
    return Part(soft, mask.fill, mask.area == "masked", mask.padding, mask.soft)


def _fit(init: Init) -> Fit:
    """How a mask comes to a size, and a picture whose pixels do."""
    return "stretch" if init.resize == "latent" else init.resize


def _drawn(mask: Mask) -> Pixels:
    drawn = mask.picture.read_mask(None) if mask.soft else mask.picture.read_mask()
    return inverted(drawn) if mask.invert else drawn


def _latent_mask(mask: Pixels, size: Size, part: Part, compat: Compat) -> Values:
    if compat.name == "a1111" and part.soft:
        return latent_mask.a1111_soft(mask, size.latent())
    return latent_mask.RULES[compat.name](mask, size.latent())
