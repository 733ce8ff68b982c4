"""The fields of a job: what each must be, and what other tools call it."""

from typing import get_args

from sakuga.engine.jobs import kinds
from sakuga.engine.jobs.kinds import Kind
from sakuga.engine.jobs.stage_fields import STAGE_FIELDS
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
from sakuga.engine.runtime.request import Prefix
from sakuga.engine.sampling.compat import COMPATS, find_compat
from sakuga.engine.sampling.noise.sources import find_rng
from sakuga.engine.text.segments import emphasis_name

MOST_COUNT = 9999  # pictures of one setting

_SEED = kinds.whole(-1, 2**64 - 1, "a whole number from 0, below 2**64, or -1 for any")

FIELDS: dict[str, Kind] = {
    "prompt": PROMPT,
    "negative_prompt": PROMPT,
    "width": COUNT,
    "height": COUNT,
    "steps": STEPS,
    "guidance": SCALE,
    "guidance_interval": kinds.span('a part of the steps such as "0.2-0.8"'),
    "sampler": SAMPLER,
    "schedule": SCHEDULE,
    "eta": SCALE,
    "s_noise": SCALE,
    "seed": _SEED,
    "rng": kinds.name(find_rng, "the name of a noise source"),
    "variation_seed": _SEED,
    "variation_strength": SHARE,
    "seed_resize": SIZE,
    "ensd": kinds.whole(-(2**63), 2**63 - 1, "a whole number"),
    "count": kinds.whole(1, MOST_COUNT, f"a whole number from 1 to {MOST_COUNT}"),
    "id": kinds.file_name("usable as a file name"),
    "compat": kinds.name(find_compat, "the name of a tool", tuple(COMPATS)),
    "clip_skip": kinds.whole(0, 2**31 - 1, "a whole number from 0"),
    "emphasis": kinds.name(emphasis_name, "the name of an emphasis"),
    "pad_conds": kinds.truth("true or false"),
    "prefix": kinds.one_of(get_args(Prefix), '"preset" or "none"'),
    **STAGE_FIELDS,
}
SINGLE = ("id", "count")  # these cannot be the axis of a grid
MULTIPLIED = {"batch_size", "n_iter"}  # A1111 makes so many at once, so often
# What A1111, ComfyUI and diffusers call them.
ALIASES = {
    "cfg": "guidance",
    "cfg_scale": "guidance",
    "guidance_scale": "guidance",
    "sampler_name": "sampler",
    "scheduler": "schedule",
    "num_inference_steps": "steps",
    "negative": "negative_prompt",
    "subseed": "variation_seed",
    "subseed_strength": "variation_strength",
    "eta_noise_seed_delta": "ensd",
    "batch_size": "count",
    "n_iter": "count",
    "num_images_per_prompt": "count",
    "init_image": "init",
    "mask_image": "mask",
    "denoising_strength": "strength",
    "denoise": "strength",
}
FIELD_OF = {name: name for name in FIELDS} | ALIASES
