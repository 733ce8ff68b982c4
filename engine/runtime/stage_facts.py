"""Stages in the settings of a picture: A1111's keys, and ADetailer's.

Sources: A1111's modules/processing.py (`extra_generation_params`) and modules/postprocessing.py.
"""

from sakuga.engine.refine.detail_keys import detail_keys
from sakuga.engine.refine.latents import LATENT_UPSCALERS
from sakuga.engine.runtime.later import USUAL_SCALE
from sakuga.engine.runtime.settings import Later, Settings
from sakuga.engine.runtime.stages import Detail, Hires, Init, Upscale, blur_of
from sakuga.engine.sampling.samplers import SAMPLERS, sampler_name

STRENGTH = "Denoising strength"
HIRES_STRENGTH = "Hires denoising strength"  # where the first pass has one of its own
_DIGITS = 10  # of a hash


def stage_facts(settings: Settings) -> dict[str, str]:
    """Keys and values of the picture it begins from and of all stages after."""
    found = {} if settings.init is None else _init(settings.init, settings)
    details = [each.stage for each in settings.later if isinstance(each.stage, Detail)]
    for later in settings.later:
        if isinstance(later.stage, Hires):
            found |= _hires(later.stage, later, settings)
        elif isinstance(later.stage, Upscale):
            found["Postprocess upscale by"] = f"{later.stage.scale or USUAL_SCALE:g}"
            found["Postprocess upscaler"] = later.stage.upscaler
    return found | detail_keys(details)


def _init(init: Init, settings: Settings) -> dict[str, str]:
    found = {STRENGTH: f"{init.strength:g}", "Init image hash": init.picture.digest[:_DIGITS]}
    if init.resize != "stretch":
        found["Resize mode"] = init.resize
    mask = init.mask
    if mask is not None:
        found["Mask hash"] = mask.picture.digest[:_DIGITS]
        found["Mask blur"] = f"{blur_of(mask, settings.compat.name):g}"
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
    found = {STRENGTH if first.init is None else HIRES_STRENGTH: f"{stage.strength:g}"}
    if stage.prompt:
        found["Hires prompt"] = stage.prompt
    if stage.negative_prompt:
        found["Hires negative prompt"] = stage.negative_prompt
    if stage.size is None:
        found["Hires upscale"] = f"{stage.scale or USUAL_SCALE:g}"
    else:
        found["Hires resize"] = str(stage.size)
    if stage.steps is not None:
        found["Hires steps"] = str(stage.steps)
    latent = LATENT_UPSCALERS.get(stage.upscaler)
    found["Hires upscaler"] = latent.label if latent else stage.upscaler
    if stage.guidance is not None:
        found["Hires CFG Scale"] = f"{stage.guidance:g}"
    if stage.sampler is not None:
        found["Hires sampler"] = SAMPLERS[sampler_name(stage.sampler)].label
    if stage.schedule is not None:
        found["Hires schedule type"] = stage.schedule
    if later.tiles > 1:
        found["Hires tiles"] = str(later.tiles)
    return found
