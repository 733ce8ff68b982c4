"""What a user asks for, and what a bundle uses where they say nothing."""

from dataclasses import dataclass, replace
from typing import Literal

from sakuga.engine.errors import UsageError
from sakuga.engine.runtime.seeds import chosen_seed
from sakuga.engine.runtime.stages import Init, Stage
from sakuga.profiles.buckets import Size, Sizes
from sakuga.profiles.preset import Preset

Prefix = Literal["preset", "none"]


@dataclass(frozen=True)
class Request:
    """One picture. None means the bundle's own default: its preset's, if it has one.

    `guidance` is the CFG scale; 1 turns guidance off. `guidance_interval` limits it to a part of
    the steps, such as (0.2, 0.8) from a fifth to four fifths of the way; outside, a picture needs
    half the work, and it is another picture (Kynkäänniemi and others 2024). `seed` lies in
    [0, 2⁶⁴); None or -1 is a random one, told by the picture. `compat` names the tool whose
    pictures to match: a1111, comfy or diffusers. `clip_skip` counts as that tool counts. `sampler`
    may carry a schedule, as in "DPM++ 2M Karras"; `schedule` "Automatic" is the sampler's own.
    `eta` scales the noise that an ancestral or SDE sampler or DDIM puts back, `s_noise` the numbers
    drawn for it.

    `prefix` "preset" puts the preset's tags before and behind the prompt, those it does not hold
    already; "none" leaves it as it is written. `negative_prompt` None is the preset's, "" is none.
    Compat diffusers takes both texts as they are given, with no word of a preset, and None is
    "not given" there, which it treats unlike "". A picture's parameters hold the texts used.

    Prompts are read by the grammar of the compat tool. Two settings of A1111 go with its own:
    `emphasis`, what weights do ("Original", "No norm", "Ignore", "None"), and `pad_conds`, whether
    the shorter of prompt and negative prompt gets empty chunks, which changes the picture a little.

    `rng`: where noise comes from. "NV", compat a1111's default, counts as a CUDA GPU does; "CPU",
    that of diffusers, is torch's on the processor; "ComfyUI", that of comfy, draws the first latent
    as CPU and what steps add as NV. (ComfyUI without a GPU is "CPU" with an `ensd` of 1.)
    `variation_seed` is what the noise of the first latent turns to by `variation_strength`, 0 to 1;
    `seed_resize` the size at which the seed made the picture to be kept; `ensd`, the eta noise
    seed delta, is added to the seed for what steps add. All are A1111's.

    `init`: a picture to begin from, or a part of it to paint anew; without a size the request has
    the picture's, or the nearest the bundle renders. `stages`: what is done to the picture after
    its first pass, in this order: `Hires`, `Detail`, `Upscale`.
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
    schedule: str | None = None
    eta: float | None = None
    s_noise: float | None = None
    prefix: Prefix = "preset"
    emphasis: str | None = None
    pad_conds: bool = False
    rng: str | None = None
    variation_seed: int | None = None
    variation_strength: float | None = None
    seed_resize: Size | None = None
    ensd: int = 0
    guidance_interval: tuple[float, float] | None = None
    init: Init | None = None
    stages: tuple[Stage, ...] = ()

    def times(self, count: int) -> "list[Request]":
        """This many pictures: the seed counts up, or with a variation the variation's, as in A1111.

        Each is the same as it would be alone, with every compat: ComfyUI cuts the pictures of a
        batch from one stream of numbers instead, so only its first is one that can be had here.
        Raises UsageError for a count below 1.
        """
        if count < 1:
            raise UsageError(f"{count} pictures cannot be made.", hint="Ask for 1 or more.")
        seed, variation = chosen_seed(self.seed), chosen_seed(self.variation_seed)
        if self.variation_strength:
            return [replace(self, seed=seed, variation_seed=variation + i) for i in range(count)]
        return [replace(self, seed=seed + i) for i in range(count)]


@dataclass(frozen=True)
class Defaults:
    """What a bundle uses where a request says nothing, and what it allows.

    `schedule`: goes with `sampler`, None for the sampler's own. `sizes`: what its networks take,
    None for all the family's. `timestep_spacing`: the schedule its checkpoint asks diffusers for.
    `preset`: where the rest comes from, if it does, and what is recommended.
    """

    size: Size
    steps: int = 28
    guidance: float = 7.0
    sampler: str = "euler_a"
    schedule: str | None = None
    clip_skip: int | None = None
    prefix: str = ""
    suffix: str = ""
    negative_prompt: str | None = None
    preset: Preset | None = None
    sizes: Sizes | None = None
    timestep_spacing: str = "leading"
