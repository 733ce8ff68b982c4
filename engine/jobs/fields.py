"""The fields of a job: what each must be, and what other tools call it."""

from typing import get_args

from sakuga.engine.jobs import kinds
from sakuga.engine.jobs.kinds import LARGEST_NUMBER, Kind
from sakuga.engine.runtime.request import Prefix
from sakuga.engine.sampling.compat import COMPATS, find_compat
from sakuga.engine.sampling.noise.sources import find_rng
from sakuga.engine.sampling.samplers import find_sampler
from sakuga.engine.sampling.schedules import schedule_name
from sakuga.engine.text.segments import emphasis_name
from sakuga.engine.text.tokenizer import MAX_CHARACTERS

MOST_COUNT = 9999  # pictures of one setting

_COUNT = kinds.whole(1, 2**31 - 1, "a whole number from 1")
_PROMPT = kinds.text(
    MAX_CHARACTERS, f"valid Unicode text of at most {MAX_CHARACTERS:,} characters, none of them NUL"
)
_SCALE = kinds.number(0, LARGEST_NUMBER, "a number from 0")
_SEED = kinds.whole(-1, 2**64 - 1, "a whole number from 0, below 2**64, or -1 for any")

FIELDS: dict[str, Kind] = {
    "prompt": _PROMPT,
    "negative_prompt": _PROMPT,
    "width": _COUNT,
    "height": _COUNT,
    "steps": kinds.whole(1, 1000, "a whole number from 1 to 1000"),
    "guidance": _SCALE,
    "guidance_interval": kinds.span('a part of the steps such as "0.2-0.8"'),
    "sampler": kinds.name(find_sampler, "the name of a sampler"),
    "schedule": kinds.name(schedule_name, "the name of a schedule"),
    "eta": _SCALE,
    "s_noise": _SCALE,
    "seed": _SEED,
    "rng": kinds.name(find_rng, "the name of a noise source"),
    "variation_seed": _SEED,
    "variation_strength": kinds.number(0, 1, "a number from 0 to 1"),
    "seed_resize": kinds.size('a size such as "832x1216"'),
    "ensd": kinds.whole(-(2**63), 2**63 - 1, "a whole number"),
    "count": kinds.whole(1, MOST_COUNT, f"a whole number from 1 to {MOST_COUNT}"),
    "id": kinds.file_name("usable as a file name"),
    "compat": kinds.name(find_compat, "the name of a tool", tuple(COMPATS)),
    "clip_skip": kinds.whole(0, 2**31 - 1, "a whole number from 0"),
    "emphasis": kinds.name(emphasis_name, "the name of an emphasis"),
    "pad_conds": kinds.truth("true or false"),
    "prefix": kinds.one_of(get_args(Prefix), '"preset" or "none"'),
}
SINGLE = ("id", "count")  # these cannot be the axis of a grid
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
}
FIELD_OF = {name: name for name in FIELDS} | ALIASES
