"""What a user asks for, and from there to settings with every default filled in."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, cast, get_args

from sakuga.engine.errors import SizeError, UsageError
from sakuga.engine.runtime.checks import checked_emphasis, checked_guidance, checked_interval
from sakuga.engine.runtime.later import encoding_first, later_stages, with_size_of
from sakuga.engine.runtime.seeds import chosen_seed, noise_plan
from sakuga.engine.runtime.settings import Settings
from sakuga.engine.runtime.stages import Init, Stage
from sakuga.engine.sampling.choice import Choice, choose
from sakuga.engine.sampling.compat import Compat, find_compat
from sakuga.engine.sampling.noise.plan import NoisePlan
from sakuga.engine.sampling.plan import SamplerOptions, Training, sampling_table
from sakuga.engine.sampling.samplers import SAMPLERS, sampler_name
from sakuga.engine.sampling.strength import Strength
from sakuga.engine.sampling.table import Prediction, SamplerTable
from sakuga.engine.text.clip_skip import choose_layer
from sakuga.engine.text.segments import Rule
from sakuga.engine.text.surround import surround
from sakuga.engine.text.tokenizer import check_text
from sakuga.profiles.buckets import Size, Sizes
from sakuga.profiles.families import Family
from sakuga.profiles.preset import Preset

Prefix = Literal["preset", "none"]
_table = lru_cache(256)(sampling_table)  # of a hundred thousand jobs few differ in it


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


def resolve(
    request: Request,
    family: Family,
    defaults: Defaults,
    prediction: Prediction,
    zero_terminal_snr: bool = False,
) -> Settings:
    """Fill in defaults and check everything that can be checked before a network runs.

    `prediction` and `zero_terminal_snr` say how the model was trained.
    Raises SizeError for a size the bundle does not render, PictureFileError for a file that cannot
    be read, UsageError for anything else.
    """
    training = Training(prediction, zero_terminal_snr)
    sizes = defaults.sizes or family.sizes

    def resolve_pass(asked: Request, strength: Strength | None) -> Settings:
        return _resolve_pass(asked, family, defaults, training, strength)

    if request.init is None:
        settings = resolve_pass(request, None)
    else:
        asked = with_size_of(request, request.init, sizes, defaults.size)
        strength = Strength(request.init.strength, masked=request.init.mask is not None)
        settings = replace(resolve_pass(asked, strength), init=request.init)
        # diffusers begins such a model from noise alone, and does not look at the picture.
        unseen = family.inpaints and strength.masked and strength.value == 1
        settings = encoding_first(settings, strength.masked, unseen)
    if not request.stages:
        return settings
    return replace(settings, later=later_stages(request, settings, resolve_pass, sizes))


def _resolve_pass(
    request: Request,
    family: Family,
    defaults: Defaults,
    training: Training,
    strength: Strength | None,
) -> Settings:
    compat = find_compat(request.compat)
    choice = _choice(request, defaults, compat)
    options = SamplerOptions(request.eta, request.s_noise)
    steps = defaults.steps if request.steps is None else request.steps
    tool = cast(Rule, compat.name)
    clip_skip = request.clip_skip
    # A preset's counts as A1111 counts, and so does ComfyUI's for SD1.5.
    if clip_skip is None and (tool == "a1111" or (tool == "comfy" and family.kind == "sd15")):
        clip_skip = defaults.clip_skip
    layers = min(encoder.layers for encoder in family.text_encoders)
    layer = choose_layer(family.kind, tool, clip_skip, layers)
    both = tool != "diffusers"  # which skips layers for the positive prompt alone
    prompt, negative_prompt = _texts(request, defaults, tool)
    size = _size(request, defaults.sizes or family.sizes, defaults.size)
    guidance = checked_guidance(defaults.guidance if request.guidance is None else request.guidance)
    table = _table(compat, choice, steps, training, options, strength)
    return Settings(
        prompt=prompt,
        negative_prompt=negative_prompt,
        size=size,
        guidance=guidance,
        sampler=choice.sampler,
        schedule=choice.label,
        eta=None if request.eta == SAMPLERS[choice.sampler].eta else request.eta,
        s_noise=None if request.s_noise == 1 else request.s_noise,
        noise=_noise(request, compat, table),
        compat=compat,
        clip_skip=clip_skip,
        layer=layer,
        negative_layer=layer if both else choose_layer(family.kind, tool, None, layers),
        table=table,
        emphasis=checked_emphasis(request.emphasis, request.pad_conds, compat.name),
        pad_conds=request.pad_conds,
        notes=defaults.preset.doubts(size, steps, guidance) if defaults.preset else (),
        guidance_interval=checked_interval(request.guidance_interval),
        prediction=training.prediction,
    )


def _noise(request: Request, compat: Compat, table: SamplerTable) -> NoisePlan:
    return noise_plan(
        request.rng or compat.rng,
        request.seed,
        request.variation_seed,
        request.variation_strength,
        request.seed_resize,
        # It is a setting that people leave on; with a sampler that adds no noise it means nothing.
        request.ensd if table.draw.any() else 0,
    )


def _texts(request: Request, defaults: Defaults, tool: Rule) -> tuple[str, str | None]:
    """Prompt and negative prompt with the preset's words in them."""
    if request.prefix not in get_args(Prefix):
        raise UsageError(
            f"The prefix cannot be {request.prefix!r}.",
            note='"preset" adds the tags of the preset, "none" adds nothing.',
            hint="Write tags of your own into the prompt.",
        )
    if tool == "diffusers":
        return request.prompt, request.negative_prompt
    prompt, negative = request.prompt, request.negative_prompt
    check_text(prompt)
    if request.prefix == "preset":
        prompt = surround(prompt, defaults.prefix, defaults.suffix, tool)
    return prompt, defaults.negative_prompt if negative is None else negative


def _choice(request: Request, defaults: Defaults, compat: Compat) -> Choice:
    """The request's sampler and schedule; or the defaults', which belong together."""
    spacing = defaults.timestep_spacing
    if request.sampler is not None:
        return choose(compat, request.sampler, request.schedule, spacing)
    try:
        sampler = sampler_name(defaults.sampler)
        # In diffusers the checkpoint says how the steps lie.
        schedule = None if compat.name == "diffusers" else defaults.schedule
        usual = choose(compat, defaults.sampler, schedule, spacing)
    except UsageError as error:
        if defaults.preset is None:
            raise
        raise UsageError(
            f"The preset {defaults.preset.name}: {error.what}",
            note=f"It is read from {defaults.preset.file}. {error.note}",
            hint=error.hint or "Choose a sampler in the request.",
        ) from error
    if request.schedule is None:
        return usual
    return choose(compat, sampler, request.schedule, spacing)  # whatever the default's name carries


def _size(request: Request, rule: Sizes, usual: Size) -> Size:
    width = usual.width if request.width is None else request.width
    height = usual.height if request.height is None else request.height
    size = Size(width, height)
    if rule.allows(size):
        return size
    nearest = ", ".join(str(near) for near in rule.nearest(size))
    raise SizeError(
        f"This bundle does not render {size} pixels.",
        note=str(rule),
        hint=f"Nearest: {nearest}.",
    )
