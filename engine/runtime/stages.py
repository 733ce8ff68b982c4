"""What a request may say beyond one pass of a sampler: a picture to begin from, and stages after.

The words and defaults are A1111's: modules/processing.py and modules/scripts of its image to image,
inpainting and Hires. fix.
"""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from sakuga.engine.errors import UsageError
from sakuga.engine.image.source import Source
from sakuga.engine.refine.detail import Detail
from sakuga.engine.refine.fill import Fill
from sakuga.profiles.buckets import Size

Resize = Literal["stretch", "crop", "fill", "latent"]
LARGEST_SCALE = 8.0


@dataclass(frozen=True)
class Mask:
    """The part of a picture to paint anew: white where it is, black where it stays.

    `blur`: σ of the mask's soft edge in pixels; None is 4 in compat a1111, 0 elsewhere. `invert`:
    paint what is black. `fill`: what the part begins from; its surroundings ("fill"), the picture
    ("original"), noise or nothing. `area`: "whole", the picture is worked on as it is; "masked",
    the part with `padding` pixels around it is cut out, worked on at the request's size, and put
    back. `soft`: the latent's mask keeps its grey instead of being rounded to black and white.
    """

    picture: Source
    blur: float | None = None
    invert: bool = False
    fill: Fill = Fill.ORIGINAL
    area: Literal["whole", "masked"] = "whole"
    padding: int = 32
    soft: bool = False

    def __post_init__(self) -> None:
        _check_among("fill", self.fill, tuple(Fill))
        object.__setattr__(self, "fill", Fill(self.fill))  # its name may be given
        _check_among("area", self.area, ("whole", "masked"))
        if self.blur is not None and not (math.isfinite(self.blur) and 0 <= self.blur <= 256):
            raise UsageError(
                f"A mask cannot be blurred by {self.blur}.", hint="Give pixels from 0 to 256."
            )
        if not 0 <= self.padding <= 4096:
            raise UsageError(
                f"A mask's padding cannot be {self.padding}.", hint="Give pixels from 0 to 4096."
            )


def blur_of(mask: Mask, tool: str) -> float:
    """Its blur, or what is usual in the tool."""
    usual = 4.0 if tool == "a1111" else 0.0
    return usual if mask.blur is None else mask.blur


@dataclass(frozen=True)
class Init:
    """A picture to begin from.

    `strength`: how strongly it is made anew, from 0 to 1; how many evaluations that takes is the
    compat tool's rule (`sampling.strength`). `resize`: how it comes to the request's size:
    "stretch" it, "crop" what is over, "fill" what is missing with its edges, or stretch its
    "latent". `mask`: to paint a part of it alone.
    """

    picture: Source
    strength: float = 0.75
    resize: Resize = "stretch"
    mask: Mask | None = None

    def __post_init__(self) -> None:
        _check_among("resize", self.resize, get_args(Resize))
        _check_strength(self.strength)


@dataclass(frozen=True)
class Hires:
    """A second pass at a larger size, A1111's Hires. fix.

    `scale` of the first pass's size, or `size`, to whose shape the larger picture is cut; None for
    twice as large. `upscaler`: one of
    `LATENT_UPSCALERS` ("latent", "latent-nearest-exact" …), or the name of one that enlarges the
    picture ("lanczos", "dat_x2" …). `strength`: how strongly the second pass makes it anew; all
    its `steps` are done. None is what the first pass has.
    """

    scale: float | None = None
    size: Size | None = None
    upscaler: str = "latent"
    strength: float = 0.7
    steps: int | None = None
    guidance: float | None = None
    sampler: str | None = None
    schedule: str | None = None
    prompt: str | None = None
    negative_prompt: str | None = None

    def __post_init__(self) -> None:
        _check_strength(self.strength)
        if self.scale is not None and self.size is not None:
            raise UsageError(
                "A hires pass has a scale or a size.", hint="Leave out one of the two."
            )
        _check_scale(self.scale)


@dataclass(frozen=True)
class Upscale:
    """The finished picture, enlarged by an upscaler and not sampled again."""

    upscaler: str
    scale: float | None = None

    def __post_init__(self) -> None:
        _check_scale(self.scale)


Stage: TypeAlias = Hires | Detail | Upscale


def _check_among(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"{name} cannot be {value!r}.", hint=f"Use one of {', '.join(known)}.")


def _check_strength(value: float) -> None:
    if not 0 <= value <= 1:
        raise UsageError(
            f"A strength cannot be {value}.", hint="Give a number from 0 to 1; 0.75 is usual."
        )


def _check_scale(scale: float | None) -> None:
    if scale is not None and not 1 <= scale <= LARGEST_SCALE:
        raise UsageError(
            f"A picture cannot be enlarged {scale} times.",
            hint=f"Give a number from 1 to {LARGEST_SCALE:g}.",
        )
