"""From what is said of a picture to begin from and of stages to the `Request` that has them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

from sakuga.engine.errors import UsageError
from sakuga.engine.refine.detail import Detail
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.stages import Hires, Init, Mask, Stage, Upscale

_OF_INIT = {"strength": "strength", "resize": "resize"}
_OF_MASK = {
    "mask_blur": "blur",
    "mask_invert": "invert",
    "mask_fill": "fill",
    "mask_area": "area",
    "mask_padding": "padding",
    "mask_soft": "soft",
}


def with_stages(
    request: Request, values: Mapping[str, Any], spell: Callable[[str], str]
) -> Request:
    """The request with what `values` say, by the names of `STAGE_FIELDS`, in the place of its own.

    `init` and `mask` are a `Source` each; the stages are in A1111's order: the hires pass, the
    detailer's, the upscaler. `spell`: how a name is written where the values come from. Raises
    UsageError for what is said of a picture or a mask that is not there.
    """
    init = _init(request.init, values, spell)
    return replace(request, init=init, stages=_stages(request.stages, values))


def _init(init: Init | None, values: Mapping[str, Any], spell: Callable[[str], str]) -> Init | None:
    if "init" in values:
        picture = values["init"]
        init = Init(picture) if init is None else replace(init, picture=picture)
    if init is None:
        _refuse_alone(values, ("mask", *_OF_INIT, *_OF_MASK), "init", spell)
        return None
    mask = _mask(init.mask, values, spell)
    return replace(init, mask=mask, **_named(values, _OF_INIT))


def _mask(mask: Mask | None, values: Mapping[str, Any], spell: Callable[[str], str]) -> Mask | None:
    if "mask" in values:
        picture = values["mask"]
        mask = Mask(picture) if mask is None else replace(mask, picture=picture)
    if mask is None:
        _refuse_alone(values, _OF_MASK, "mask", spell)
        return None
    return replace(mask, **_named(values, _OF_MASK))


def _named(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {field: values[name] for name, field in names.items() if name in values}


def _stages(stages: Iterable[Stage], values: Mapping[str, Any]) -> tuple[Stage, ...]:
    if not {"hires", "detail", "upscale"} & values.keys():
        return tuple(stages)
    hires: list[Stage] = [each for each in stages if isinstance(each, Hires)]
    detail: list[Stage] = [each for each in stages if isinstance(each, Detail)]
    upscale: list[Stage] = [each for each in stages if isinstance(each, Upscale)]
    hires = [cast("Hires", values["hires"])] if "hires" in values else hires
    detail = list(cast("tuple[Detail, ...]", values.get("detail", detail)))
    upscale = [cast("Upscale", values["upscale"])] if "upscale" in values else upscale
    return (*hires, *detail, *upscale)


def _refuse_alone(
    values: Mapping[str, Any], names: Iterable[str], lacks: str, spell: Callable[[str], str]
) -> None:
    alone = next((name for name in names if name in values), None)
    if alone is None:
        return
    what = "a picture to begin from" if lacks == "init" else "a mask"
    hint = f"Give {spell(lacks)} too, or leave {spell(alone)} out."
    if alone == "strength" and "hires" in values:
        hint = "A hires pass has its strength in its own words, such as 1.5:latent:0.6."
    raise UsageError(f"{spell(alone)} needs {what}, and there is none.", hint=hint)
