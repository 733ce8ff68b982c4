"""The options of one pass of the detailer: find, mask, paint each mask anew."""

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sakuga.engine.errors import UsageError

TopBy = Literal["area", "confidence"]
Sort = Literal["none", "left to right", "center to edge", "area"]
Merge = Literal["none", "merge", "merge and invert"]


@dataclass(frozen=True)
class Detail:
    """A pass over everything a detector finds. The defaults are ADetailer's.

    `model` names the detector. `prompt` and `negative_prompt` may hold [SEP], [SKIP] and [PROMPT];
    empty ones are the picture's own. Of what is found with at least `confidence`, 0 to 1, those
    count whose class is one of `classes` (none: all) and none of `exclude`, and whose box takes
    `min_ratio` to `max_ratio` of the picture; of them the `top_k` by `top_by` (0: all), in the
    order `sort`.

    Their masks move by `x_offset` pixels to the right and `y_offset` up, grow by a square of side
    `dilate` (shrink, where it is negative), and may `merge`. `blur` is the sigma of a mask's edge
    in pixels, `strength` the denoising strength. `only_masked` paints the mask's surroundings of
    `padding` pixels at the full size, instead of the whole picture.

    None in the rest is the picture's own: `width` and `height` of what is painted, `steps`,
    `guidance`, `sampler`, `schedule`. Raises UsageError for what cannot be.
    """

    model: str = "face"
    prompt: str = ""
    negative_prompt: str = ""
    classes: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    confidence: float = 0.3
    top_by: TopBy = "area"
    top_k: int = 0
    min_ratio: float = 0.0
    max_ratio: float = 1.0
    sort: Sort = "none"
    x_offset: int = 0
    y_offset: int = 0
    dilate: int = 4
    merge: Merge = "none"
    blur: int = 4
    strength: float = 0.4
    only_masked: bool = True
    padding: int = 32
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance: float | None = None
    sampler: str | None = None
    schedule: str | None = None

    def __post_init__(self) -> None:
        if not self.model.strip():
            raise UsageError("A detailer needs a detector.", hint="Say face, or another's name.")
        self._check_choices()
        for name in ("confidence", "min_ratio", "max_ratio", "strength"):
            _check_between(name, getattr(self, name), 0, 1)
        for name in ("top_k", "blur", "padding"):
            _check_between(name, getattr(self, name), 0, math.inf)
        for name in ("width", "height", "steps"):
            _check_between(name, getattr(self, name), 1, math.inf)
        _check_between("guidance", self.guidance, 0, math.inf)
        if self.min_ratio > self.max_ratio:
            raise UsageError(
                f"No mask takes {self.min_ratio:g} of a picture or more and {self.max_ratio:g} "
                "or less.",
                hint="Give a min_ratio that is not above max_ratio.",
            )
        if (self.width is None) != (self.height is None):
            raise UsageError(
                "A detailer's own size needs width and height.", hint="Give both, or neither."
            )

    def _check_choices(self) -> None:
        for name, choices in (("top_by", TopBy), ("sort", Sort), ("merge", Merge)):
            given = getattr(self, name)
            if given not in get_args(choices):
                raise UsageError(
                    f"A detailer's {name} cannot be {given!r}.",
                    hint=f"Use one of {', '.join(get_args(choices))}.",
                )


def _check_between(name: str, value: Any, least: float, most: float) -> None:  # noqa: ANN401
    """None passes; NaN and infinity do not."""
    if value is None or (least <= value <= most and math.isfinite(value)):
        return
    bounds = f"{least:g} or more" if most == math.inf else f"{least:g} to {most:g}"
    raise UsageError(f"A detailer's {name} cannot be {value}.", hint=f"Give {bounds}.")
