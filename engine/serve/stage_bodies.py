"""A picture to begin from and stages, as the native API has them: fields of `sakuga.Init` …"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from sakuga.engine.refine.detail import Detail, Merge, Sort, TopBy
from sakuga.engine.refine.fill import Fill
from sakuga.engine.runtime.stages import Hires, Init, Mask, Resize, Stage, Upscale
from sakuga.engine.serve.sent import picture_in
from sakuga.engine.serve.strict import Strict
from sakuga.profiles.buckets import Size

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


class _Body(Strict):
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
        return Mask(picture_in(self.picture, "init.mask.picture"), **self.given("picture"))


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
