"""`<lora:name:0.8>`: networks a prompt names. They are merged into a bundle when it is built."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose
from typing import NoReturn, Protocol

from sakuga.engine.errors import UsageError

_TAG = re.compile(r"<(\w+):([^>]+)>")
_LORA = ("lora", "lyco")
_TOLERANCE = 1e-6


class BuiltLora(Protocol):
    """A LoRA in a bundle: its name, and its weights in the text encoders and in the UNet."""

    @property
    def name(self) -> str: ...
    @property
    def text_weight(self) -> float: ...
    @property
    def unet_weight(self) -> float: ...


@dataclass(frozen=True)
class Lora:
    """A LoRA as a prompt asks for it."""

    name: str
    text_weight: float
    unet_weight: float


def read_networks(prompt: str) -> tuple[str, tuple[Lora, ...]]:
    """The prompt without its tags, and the LoRAs they name.

    `<lora:name>`, `<lora:name:te>`, `<lora:name:te:unet>`, or `te=` and `unet=`; the UNet's weight
    is the text encoders' unless given, and that is 1. Source: AUTOMATIC1111/stable-diffusion-webui,
    modules/extra_networks.py and extensions-builtin/Lora.

    Raises UsageError for other kinds of networks, and for weights that are no numbers.
    """
    tags = network_tags(prompt)
    edges = [0, *(edge for tag in tags for edge in tag.span()), len(prompt)]
    bare = "".join(prompt[start:stop] for start, stop in zip(edges[::2], edges[1::2], strict=True))
    return bare, tuple(map(_lora, tags))


def network_tags(prompt: str) -> list[re.Match[str]]:
    """All that is written like `<lora:name:0.8>`."""
    end = prompt.rfind(">") + 1  # behind it the pattern would look to the end from every <
    return [*_TAG.finditer(prompt, 0, end)]


def check_loras(asked: Sequence[Lora], built: Sequence[BuiltLora]) -> None:
    """Raises UsageError where a prompt's LoRA is not in the bundle with that weight."""
    held = {each.name: (each.text_weight, each.unet_weight) for each in built}
    for lora in asked:
        wanted = lora.text_weight, lora.unet_weight
        here = held.get(lora.name, (0.0, 0.0))  # weight 0 is no LoRA at all
        if not all(isclose(a, b, abs_tol=_TOLERANCE) for a, b in zip(wanted, here, strict=True)):
            raise _not_built(lora, held)


def _lora(match: re.Match[str]) -> Lora:
    kind, arguments = match[1].lower(), match[2].split(":")
    if kind not in _LORA:
        _refuse(match[0], f"There are no networks of the kind {match[1]!r} here.")
    named = dict(item.split("=", 1) for item in arguments if "=" in item)
    name, *weights = [item for item in arguments if "=" not in item] or [""]
    if len(weights) > 2 or named.keys() - {"te", "unet"}:
        _refuse(match[0], "Only a weight for the text encoders and one for the UNet are known.")
    te = named.get("te") or (weights[0] if weights else "1")
    unet = named.get("unet") or (weights[1] if len(weights) > 1 else te)
    return Lora(name, _number(te, match[0]), _number(unet, match[0]))


def _number(text: str, tag: str) -> float:
    try:
        return float(text)
    except ValueError:
        _refuse(tag, f"{text!r} is no weight.")


def _refuse(tag: str, note: str) -> NoReturn:
    raise UsageError(
        f"{tag[:80]} cannot be followed.", note=note, hint="Write <lora:NAME:0.8>, or take it out."
    )


def _not_built(lora: Lora, held: dict[str, tuple[float, float]]) -> UsageError:
    if lora.name in held:
        te, unet = held[lora.name]
        note = f"The bundle holds it with {_weights(te, unet)}."
    else:
        note = f"It holds {', '.join(sorted(held)) or 'none'}."
    asked = _weights(lora.text_weight, lora.unet_weight)
    built = ":".join(dict.fromkeys(f"{each:g}" for each in (lora.text_weight, lora.unet_weight)))
    return UsageError(
        f"The bundle was not built with the LoRA {lora.name} at {asked}.",
        note=note,
        hint=f"Build one: sakuga build … --lora {lora.name}.safetensors:{built}",
    )


def _weights(te: float, unet: float) -> str:
    return f"{te:g}" if te == unet else f"{te:g} (text encoders) and {unet:g} (UNet)"
