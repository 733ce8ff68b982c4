"""What a user asks for, and the same with every default filled in."""

import math
import secrets
from dataclasses import dataclass
from typing import Literal, cast

from sakuga.engine.errors import SizeError, UsageError
from sakuga.engine.sampling.compat import Compat, find_compat, sampling_table
from sakuga.engine.sampling.samplers import Prediction, SamplerTable, sampler_name
from sakuga.engine.text.clip_skip import Layer, choose_layer
from sakuga.profiles.buckets import Size, SizeRule
from sakuga.profiles.families import Family

RANDOM_SEED = -1  # as A1111 writes it


@dataclass(frozen=True)
class Request:
    """One picture. None means the bundle's own default.

    `negative_prompt` None is "not given", which compat diffusers treats unlike "". `guidance` is
    the CFG scale; 1 turns guidance off. `seed` lies in [0, 2⁶⁴); None or -1 is a random one, told
    by the picture. `compat` names the tool whose pictures to match: a1111, comfy or diffusers.
    `clip_skip` counts as that tool counts.
    """

    prompt: str
    negative_prompt: str | None = None
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance: float | None = None
    sampler: str | None = None
    seed: int | None = None
    compat: str = "a1111"
    clip_skip: int | None = None


@dataclass(frozen=True)
class Defaults:
    """What a bundle uses where a request says nothing, and what it allows.

    `sizes`: what its networks take, None for all the family's. `timestep_spacing`: the schedule
    its checkpoint asks diffusers for.
    """

    size: Size
    steps: int = 28
    guidance: float = 7.0
    sampler: str = "euler_a"
    clip_skip: int | None = None
    sizes: SizeRule | None = None
    timestep_spacing: str = "leading"


@dataclass(frozen=True, eq=False)
class Settings:
    """A request with nothing left open, and its sampler table.

    `layer` and `negative_layer` are where the text encoders' states are taken.
    """

    prompt: str
    negative_prompt: str | None
    size: Size
    guidance: float
    sampler: str
    seed: int
    compat: Compat
    clip_skip: int | None
    layer: Layer
    negative_layer: Layer
    table: SamplerTable

    @property
    def steps(self) -> int:
        """Steps as people count them: evaluations of a first-order sampler."""
        return self.table.evaluations

    @property
    def guided(self) -> bool:
        """Whether the negative prompt takes part."""
        off = self.guidance <= 1 if self.compat.name == "diffusers" else self.guidance == 1
        return not off


def resolve(
    request: Request, family: Family, defaults: Defaults, prediction: Prediction
) -> Settings:
    """Fill in defaults and check everything that can be checked before a network runs.

    Raises SizeError for a size the bundle does not render, UsageError for anything else.
    """
    compat = find_compat(request.compat)
    sampler = sampler_name(defaults.sampler if request.sampler is None else request.sampler)
    steps = defaults.steps if request.steps is None else request.steps
    tool = cast(Literal["a1111", "comfy", "diffusers"], compat.name)
    clip_skip = request.clip_skip
    # A preset's counts as A1111 counts, and so does ComfyUI's for SD1.5.
    if clip_skip is None and (tool == "a1111" or (tool == "comfy" and family.kind == "sd15")):
        clip_skip = defaults.clip_skip
    layers = min(encoder.layers for encoder in family.text_encoders)
    layer = choose_layer(family.kind, tool, clip_skip, layers)
    both = tool != "diffusers"  # which skips layers for the positive prompt alone
    schedule = defaults.timestep_spacing if tool == "diffusers" else None
    return Settings(
        prompt=request.prompt,
        negative_prompt=request.negative_prompt,
        size=_size(request, defaults.sizes or family.sizes, defaults.size),
        guidance=_guidance(defaults.guidance if request.guidance is None else request.guidance),
        sampler=sampler,
        seed=_seed(request.seed),
        compat=compat,
        clip_skip=clip_skip,
        layer=layer,
        negative_layer=layer if both else choose_layer(family.kind, tool, None, layers),
        table=sampling_table(compat, sampler, steps, prediction, schedule),
    )


def _size(request: Request, rule: SizeRule, usual: Size) -> Size:
    width = usual.width if request.width is None else request.width
    height = usual.height if request.height is None else request.height
    size = Size(width, height)
    if rule.allows(size):
        return size
    nearest = ", ".join(str(near) for near in rule.nearest(size))
    raise SizeError(
        f"This bundle does not render {size} pixels.",
        note=f"Sides are multiples of {rule.step} from {rule.minimum} to {rule.maximum}.",
        hint=f"Nearest: {nearest}.",
    )


def _guidance(guidance: float) -> float:
    if not (math.isfinite(guidance) and guidance >= 0):
        raise UsageError(
            f"Guidance cannot be {guidance}.",
            hint="Give a number from 0 up; 5 to 7 are usual, 1 turns guidance off.",
        )
    return float(guidance)


def random_seed() -> int:
    """A seed that nobody chose, below 2³² so that every tool takes it."""
    return secrets.randbelow(2**32)


def _seed(seed: int | None) -> int:
    if seed is None or seed == RANDOM_SEED:
        return random_seed()
    if not 0 <= seed < 2**64:
        raise UsageError(
            f"A seed cannot be {seed}.", hint=f"Give a whole number from 0 to {2**64 - 1}."
        )
    return seed
