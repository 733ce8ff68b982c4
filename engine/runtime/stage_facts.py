"""Stages in the settings of a picture: A1111's keys, and ADetailer's.

Sources: A1111's modules/processing.py (`extra_generation_params`) and modules/postprocessing.py.
"""

from collections.abc import Sequence

from sakuga.engine.image.infotext_keys import NUMBER
from sakuga.engine.refine.detail import Detail
from sakuga.engine.refine.detail_keys import detail_keys
from sakuga.engine.refine.latents import LATENT_UPSCALERS
from sakuga.engine.runtime.later import USUAL_SCALE
from sakuga.engine.runtime.settings import Later, Settings
from sakuga.engine.runtime.stages import Hires, Init, Stage, Upscale, blur_of
from sakuga.engine.sampling.samplers import SAMPLERS, sampler_name

STRENGTH = "Denoising strength"
HIRES_STRENGTH = "Hires denoising strength"  # where the first pass has one of its own
INIT_HASH, MASK_HASH = "Init image hash", "Mask hash"
UPSCALE, UPSCALER = "Postprocess upscale by", "Postprocess upscaler"
ORDER = "Stages"  # where it is not A1111's
# Besides its hash, what is said of a mask.
MASK_KEYS = (
    "Mask blur", "Inpaint area", "Masked area padding", "Masked content", "Mask mode",
    "Mask rounding",
)  # fmt: skip
_DIGITS = 10  # of a hash
_WORDS: dict[type[Stage], str] = {Hires: "hires", Detail: "detail", Upscale: "upscale"}


def stage_facts(settings: Settings) -> dict[str, str]:
    """Keys and values of the picture it begins from and of all stages after."""
    found = {} if settings.init is None else _init(settings.init, settings)
    stages = [each.stage for each in settings.later]
    details = [each for each in stages if isinstance(each, Detail)]
    for later in settings.later:
        if isinstance(later.stage, Hires):
            found |= _hires(later.stage, later, settings)
        elif isinstance(later.stage, Upscale):
            found[UPSCALE] = NUMBER.write(later.stage.scale or USUAL_SCALE)
            found[UPSCALER] = later.stage.upscaler
    if not usual_order(stages):
        found[ORDER] = ", ".join(map(word_of, stages))
    return found | detail_keys(details)


def usual_order(stages: Sequence[Stage]) -> bool:
    """Whether they follow each other as in A1111, where a hires pass and an upscaler come once."""
    words = [word_of(stage) for stage in stages]
    once = all(words.count(word) < 2 for word in (_WORDS[Hires], _WORDS[Upscale]))
    return once and words == sorted(words, key=list(_WORDS.values()).index)


def word_of(stage: Stage) -> str:
    """What the settings call it."""
    return _WORDS[type(stage)]


def _init(init: Init, settings: Settings) -> dict[str, str]:
    strength = NUMBER.write(init.strength)
    found = {STRENGTH: strength, INIT_HASH: init.picture.digest[:_DIGITS]}
    if init.resize != "stretch":
        found["Resize mode"] = init.resize
    mask = init.mask
    if mask is not None:
        found[MASK_HASH] = mask.picture.digest[:_DIGITS]
        found["Mask blur"] = NUMBER.write(blur_of(mask, settings.compat.name))
        if mask.area == "masked":
            found |= {"Inpaint area": "Only masked", "Masked area padding": str(mask.padding)}
        if mask.fill != "original":
            found["Masked content"] = str(mask.fill)
        if mask.invert:
            found["Mask mode"] = "Inpaint not masked"
        if mask.soft:
            found["Mask rounding"] = "False"
    return found


def _hires(stage: Hires, later: Later, first: Settings) -> dict[str, str]:
    key = STRENGTH if first.init is None else HIRES_STRENGTH
    found = {key: NUMBER.write(stage.strength)}
    if stage.prompt:  # as it was encoded, with the preset's words in it
        found["Hires prompt"] = later.settings.prompt if later.settings else stage.prompt
    if stage.negative_prompt:
        found["Hires negative prompt"] = stage.negative_prompt
    if stage.size is None:
        found["Hires upscale"] = NUMBER.write(stage.scale or USUAL_SCALE)
    else:
        found["Hires resize"] = str(stage.size)
    if stage.steps is not None:
        found["Hires steps"] = str(stage.steps)
    latent = LATENT_UPSCALERS.get(stage.upscaler)
    found["Hires upscaler"] = latent.label if latent else stage.upscaler
    if stage.guidance is not None:
        found["Hires CFG Scale"] = NUMBER.write(stage.guidance)
    if stage.sampler is not None:
        found["Hires sampler"] = SAMPLERS[sampler_name(stage.sampler)].label
    if later.settings is not None and (stage.sampler is not None or stage.schedule is not None):
        found["Hires schedule type"] = later.settings.schedule
    if later.tiles > 1:
        found["Hires tiles"] = str(later.tiles)
    return found
