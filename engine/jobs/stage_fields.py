"""What a job may say of the picture it begins from and of the stages behind its first pass."""

from typing import get_args

from sakuga.engine.jobs import kinds
from sakuga.engine.jobs.kinds import Kind
from sakuga.engine.jobs.stage_kinds import Form, Slot, stage, stages
from sakuga.engine.jobs.usual_kinds import (
    COUNT,
    PROMPT,
    SAMPLER,
    SCALE,
    SCHEDULE,
    SHARE,
    SIZE,
    STEPS,
)
from sakuga.engine.refine.detail import Detail, Merge, Sort, TopBy
from sakuga.engine.refine.fill import Fill
from sakuga.engine.runtime.stages import LARGEST_SCALE, Hires, Resize, Upscale

MOST_DETAILS = 15  # as many tabs as ADetailer can have
AREAS = ("whole", "masked")

_FACTOR = kinds.number(1, int(LARGEST_SCALE), f"a number from 1 to {LARGEST_SCALE:g}")
_PIXELS = kinds.whole(0, 4096, "a whole number of pixels from 0 to 4096")
_SHIFT = kinds.whole(-4096, 4096, "a whole number of pixels from -4096 to 4096")
_TOOL = kinds.word(kinds.LONGEST_NAME, "the name of one")


def _words(options: object) -> Kind:
    known = get_args(options)
    return kinds.one_of(known, f"one of {', '.join(known)}")


def _at(name: str) -> Slot:
    return lambda _: name


def _scale_or_size(text: str) -> str:
    return "size" if "x" in text else "scale"


_OF_A_PASS = {"steps": STEPS, "guidance": SCALE, "sampler": SAMPLER, "schedule": SCHEDULE}
_PROMPTS = {"prompt": PROMPT, "negative_prompt": PROMPT}

HIRES = Form(
    Hires,
    {
        "scale": _FACTOR,
        "size": SIZE,
        "upscaler": _TOOL,
        "strength": SHARE,
        **_OF_A_PASS,
        **_PROMPTS,
    },
    (_scale_or_size, _at("upscaler"), _at("strength"), _at("steps")),
    r"^(?=[\s\S]*\S)\s*([0-9.]{1,20}|[0-9]{1,5}x[0-9]{1,5})?\s*(:|$)|^\s*[a-z_]{1,20}\s*=",
    '"1.5:dat_x2:0.45" or "1216x1792:latent:0.6:20:guidance=6"',
)
DETAIL = Form(
    Detail,
    {
        "model": _TOOL,
        "strength": SHARE,
        **_PROMPTS,
        "confidence": SHARE,
        "classes": kinds.names("names between commas"),
        "exclude": kinds.names("names between commas"),
        "top_by": _words(TopBy),
        "top_k": kinds.whole(0, 10_000, "a whole number from 0 to 10000"),
        "min_ratio": SHARE,
        "max_ratio": SHARE,
        "sort": _words(Sort),
        "x_offset": _SHIFT,
        "y_offset": _SHIFT,
        "dilate": _SHIFT,
        "merge": _words(Merge),
        "blur": kinds.whole(0, 256, "a whole number of pixels from 0 to 256"),
        "only_masked": kinds.truth("true or false"),
        "padding": _PIXELS,
        "width": COUNT,
        "height": COUNT,
        **_OF_A_PASS,
    },
    (_at("model"), _at("strength")),
    r"^(?=[\s\S]*\S)[^:=]{0,200}(:|$)|^\s*[a-z_]{1,20}\s*=",
    '"face", "face:0.5" or "face:0.5:prompt=blue eyes, smile"',
)
UPSCALE = Form(
    Upscale,
    {"upscaler": _TOOL, "scale": _FACTOR},
    (_at("upscaler"), _at("scale")),
    r"^(?=[\s\S]*\S)[^:=]{1,200}(:|$)|^\s*[a-z_]{1,20}\s*=",
    '"dat_x2" or "dat_x2:1.5"',
    required=("upscaler",),
)

OF_INIT: dict[str, Kind] = {
    "init": kinds.picture("the path of a picture file, from the job file's folder on"),
    "strength": SHARE,
    "resize": _words(Resize),
    "mask": kinds.picture("the path of a picture file, from the job file's folder on"),
    "mask_blur": kinds.number(0, 256, "a number of pixels from 0 to 256"),
    "mask_invert": kinds.truth("true or false"),
    "mask_fill": kinds.one_of([*Fill], f"one of {', '.join(Fill)}"),
    "mask_area": kinds.one_of(AREAS, f"one of {', '.join(AREAS)}"),
    "mask_padding": _PIXELS,
    "mask_soft": kinds.truth("true or false"),
}
STAGES: dict[str, Kind] = {
    "hires": stage(HIRES, f"a hires pass, in an object or in words such as {HIRES.example}"),
    "detail": stages(
        DETAIL,
        f"a pass of the detailer, in an object or in words such as {DETAIL.example}, or a list of "
        "passes",
        MOST_DETAILS,
    ),
    "upscale": stage(UPSCALE, f"an upscaler, in an object or in words such as {UPSCALE.example}"),
}
STAGE_FIELDS = OF_INIT | STAGES
