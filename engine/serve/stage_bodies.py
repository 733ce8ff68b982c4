"""A picture to begin from and stages, as the native API has them: fields of `sakuga.Init` and more.

Pictures come in the body, in base64; no path and no URL is ever followed.
"""

import asyncio
import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sakuga.engine.errors import UsageError
from sakuga.engine.image.source import Source
from sakuga.engine.refine.detail import Detail, Merge, Sort, TopBy
from sakuga.engine.refine.fill import Fill
from sakuga.engine.refine.mask import require_marks
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.stages import Hires, Init, Mask, Resize, Stage, Upscale
from sakuga.profiles.buckets import Size

MOST_PIXELS = 1 << 25  # of a picture that is sent
MOST_DETAILS = 8

Words = Annotated[str, Field(max_length=1 << 14)]
Tool = Annotated[str, Field(min_length=1, max_length=200)]
Share = Annotated[float, Field(ge=0, le=1)]
Pixels = Annotated[int, Field(ge=0, le=4096)]
Shift = Annotated[int, Field(ge=-4096, le=4096)]
Steps = Annotated[int, Field(ge=1, le=1000)]
Guidance = Annotated[float, Field(ge=0, le=100)]
Scale = Annotated[float, Field(ge=1, le=8)]
Side = Annotated[int, Field(ge=1, le=1 << 14)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    def given(self, *without: str) -> dict[str, Any]:
        """What was said, by name."""
        return self.model_dump(exclude_unset=True, exclude=set(without))


class MaskBody(_Body):
    """See `sakuga.Mask`; `picture` in base64."""

    picture: str
    blur: Annotated[float, Field(ge=0, le=256)] | None = None
    invert: bool = False
    fill: Fill = Fill.ORIGINAL
    area: Literal["whole", "masked"] = "whole"
    padding: Pixels = 32
    soft: bool = False

    def mask(self) -> Mask:
        """The mask. Raises UsageError."""
        return Mask(picture_in(self.picture, "mask.picture"), **self.given("picture"))


class InitBody(_Body):
    """See `sakuga.Init`; `picture` in base64."""

    picture: str
    strength: Share = 0.75
    resize: Resize = "stretch"
    mask: MaskBody | None = None

    def init(self) -> Init:
        """The picture to begin from. Raises UsageError."""
        mask = None if self.mask is None else self.mask.mask()
        picture = picture_in(self.picture, "init.picture")
        return Init(picture, mask=mask, **self.given("picture", "mask"))


class _PassBody(_Body):
    prompt: Words | None = None
    negative_prompt: Words | None = None
    steps: Steps | None = None
    guidance: Guidance | None = None
    sampler: Tool | None = None
    schedule: Tool | None = None


class HiresBody(_PassBody):
    """See `sakuga.Hires`; `size` such as 1248x1824."""

    scale: Scale | None = None
    size: Annotated[str, Field(pattern=r"^\d{1,5}x\d{1,5}$")] | None = None
    upscaler: Tool = "latent"
    strength: Share = 0.7

    def stage(self) -> Hires:
        """The stage. Raises UsageError."""
        size = None if self.size is None else Size.parse(self.size)
        return Hires(size=size, **self.given("size"))


class DetailBody(_PassBody):
    """See `sakuga.Detail`."""

    model: Tool = "face"
    strength: Share = 0.4
    confidence: Share = 0.3
    classes: Annotated[tuple[Tool, ...], Field(max_length=100)] = ()
    exclude: Annotated[tuple[Tool, ...], Field(max_length=100)] = ()
    top_by: TopBy = "area"
    top_k: Annotated[int, Field(ge=0, le=1000)] = 0
    min_ratio: Share = 0
    max_ratio: Share = 1
    sort: Sort = "none"
    x_offset: Shift = 0
    y_offset: Shift = 0
    dilate: Annotated[int, Field(ge=-256, le=256)] = 4
    merge: Merge = "none"
    blur: Annotated[int, Field(ge=0, le=64)] = 4
    only_masked: bool = True
    padding: Pixels = 32
    width: Side | None = None
    height: Side | None = None

    def stage(self) -> Detail:
        """The stage. Raises UsageError."""
        said = self.given()
        for name in ("prompt", "negative_prompt"):
            if said.get(name) is None:
                said.pop(name, None)
        return Detail(**said)


class UpscaleBody(_Body):
    """See `sakuga.Upscale`."""

    upscaler: Tool
    scale: Scale | None = None

    def stage(self) -> Upscale:
        """The stage. Raises UsageError."""
        return Upscale(**self.given())


def stages_of(
    hires: HiresBody | None, detail: Sequence[DetailBody], upscale: UpscaleBody | None
) -> tuple[Stage, ...]:
    """In A1111's order. Raises UsageError."""
    found: list[Stage] = [] if hires is None else [hires.stage()]
    found += [each.stage() for each in detail]
    return (*found, *([] if upscale is None else [upscale.stage()]))


def picture_in(text: str, field: str) -> Source:
    """A picture in base64, with or without `data:image/png;base64,` before it. Raises UsageError,
    PictureFileError for what is no picture or has too many pixels."""
    encoded = text.partition(",")[2] if text.startswith("data:") else text
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
    """A picture file's bytes. Raises UsageError, PictureFileError; its header is read."""
    source = Source.of(data)
    size = source.size
    if size.width * size.height > MOST_PIXELS:
        raise UsageError(
            f"{field} is {size}, more than this server takes.",
            note=f"It takes {MOST_PIXELS:,} pixels.",
            hint="Send a smaller one.",
        )
    return source


async def check_pictures(request: Request) -> None:
    """Decode what a request begins from, on a thread of its own: what is no picture is known
    before anything is promised. Raises PictureFileError, UsageError."""
    init = request.init
    if init is not None:
        await asyncio.to_thread(_decode, init)


def _decode(init: Init) -> None:
    init.picture.read(MOST_PIXELS)
    if init.mask is not None:
        drawn = init.mask.picture.read_mask(max_pixels=MOST_PIXELS)
        require_marks(255 - drawn if init.mask.invert else drawn)
