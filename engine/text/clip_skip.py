"""Which hidden states of a text encoder are the conditioning."""

from dataclasses import dataclass
from typing import Literal

from sakuga.engine.errors import UsageError

Compat = Literal["a1111", "comfy", "diffusers"]
Kind = Literal["sdxl", "sd15"]
States = Literal["hidden", "hidden_normed"]


@dataclass(frozen=True)
class Layer:
    """A layer counted from the end (1: the last one), and which form of its output is used."""

    clip_skip: int
    states: States


@dataclass(frozen=True)
class _Rule:
    states: States
    default: int
    shallowest: int  # a smaller number of the user means this one
    offset: int  # diffusers counts the layers to skip, the others the layer to take


# Source: Forge; ComfyUI's "CLIP Set Last Layer" takes SDXL's last layer too, without its norm.
_WEB_UI_SDXL = _Rule("hidden", default=2, shallowest=2, offset=0)
_WEB_UI_SD15 = _Rule("hidden_normed", default=1, shallowest=1, offset=0)
_RULES: dict[tuple[Kind, Compat], _Rule] = {
    ("sdxl", "a1111"): _WEB_UI_SDXL,
    ("sdxl", "comfy"): _Rule("hidden", default=2, shallowest=1, offset=0),
    ("sdxl", "diffusers"): _Rule("hidden", default=2, shallowest=2, offset=2),
    ("sd15", "a1111"): _WEB_UI_SD15,
    ("sd15", "comfy"): _WEB_UI_SD15,
    ("sd15", "diffusers"): _Rule("hidden_normed", default=1, shallowest=1, offset=1),
}


def choose_layer(kind: Kind, compat: Compat, clip_skip: int | None, layers: int) -> Layer:
    """The layer that a user's clip skip means to a tool.

    SDXL takes the penultimate layer without the final norm, and another one on request: under
    a1111 by Forge's rule (1 and 2 are the same), under comfy down from the last layer, which also
    stays without its norm. SD1.5 takes the last one through the final norm. diffusers' number
    counts layers left out, so its 1 is another tool's 2 (SD1.5) or 3 (SDXL). `layers`: how many
    the shallowest encoder of the family has. diffusers skips layers for the positive prompt only:
    pass None with the negative prompt there.

    Raises UsageError where the encoder has no such layer.
    """
    rule = _RULES[kind, compat]
    if clip_skip is None:
        return Layer(rule.default, rule.states)
    least = 0 if rule.offset else 1
    if not least <= clip_skip <= layers - rule.offset:
        raise UsageError(
            f"Clip skip {clip_skip} is not possible.",
            note=f"compat {compat} takes {least} to {layers - rule.offset} with this model.",
            hint="Leave clip skip out to get the model's usual layer.",
        )
    return Layer(max(clip_skip + rule.offset, rule.shallowest), rule.states)
