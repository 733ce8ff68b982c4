"""From what a user asks for to settings with every default filled in."""

from dataclasses import replace
from functools import lru_cache
from typing import cast, get_args

from sakuga.engine.errors import SizeError, UsageError
from sakuga.engine.runtime.checks import checked_emphasis, checked_guidance, checked_interval
from sakuga.engine.runtime.later import encoding_first, later_stages, with_size_of
from sakuga.engine.runtime.request import Defaults, Prefix, Request
from sakuga.engine.runtime.seeds import noise_plan
from sakuga.engine.runtime.settings import Settings
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

_table = lru_cache(256)(sampling_table)  # of a hundred thousand jobs few differ in it


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
