"""A1111's `parameters` text: the settings of a picture as people and tools read them."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields

from sakuga.engine.image.infotext_keys import (
    EXACT_NEGATIVE,
    EXACT_PROMPT,
    HASHES,
    KEYS,
    NEGATIVE,
    begins_negative,
    eta_key,
)
from sakuga.profiles.buckets import Size


@dataclass(frozen=True, kw_only=True)
class Infotext:
    """The settings that make a picture again. A field's default is what a missing key means.

    `sampler` and `schedule` are the names people know ("Euler a", "Karras"); `model_hash` the
    first ten hex digits of the checkpoint's SHA-256; `rng` names the noise source ("NV"); `eta`
    None is the sampler's own. `loras` and `embeddings`: name to hash. `clip_skip` None: not given,
    which A1111 takes for 1.

    Of Sakuga alone: `guidance_interval`, the part of the steps that guidance is limited to;
    `compat` and `negative_zeroed` (diffusers took zeros for the negative prompt);
    `lora_weights`: name to the weight it was merged with, or to two, `1/0.5`, for the text encoders
    and the UNet; `bundle`, `precision` and `backend` say what computed the pixels. `version` is the
    tool's name and number. `extra`: what has no field here, such as "Hires upscale", in the order
    written.
    """

    prompt: str
    negative_prompt: str = ""
    steps: int
    sampler: str
    schedule: str = "Automatic"
    guidance: float
    seed: int
    size: Size
    model_hash: str | None = None
    model: str | None = None
    vae_hash: str | None = None
    vae: str | None = None
    variation_seed: int | None = None
    variation_strength: float = 0.0
    seed_resize: Size | None = None
    clip_skip: int | None = None
    ensd: int = 0
    rng: str = "GPU"
    eta: float | None = None
    s_noise: float = 1.0
    loras: Mapping[str, str] = field(default_factory=dict)
    embeddings: Mapping[str, str] = field(default_factory=dict)
    emphasis: str = "Original"
    lora_weights: Mapping[str, str] = field(default_factory=dict)
    pad_conds: bool = False
    guidance_interval: tuple[float, float] | None = None
    compat: str = "a1111"
    negative_zeroed: bool = False
    precision: str | None = None
    bundle: str | None = None
    backend: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
    version: str | None = None


DEFAULTS = {  # what a missing key means
    each.name: each.default if each.default_factory is MISSING else each.default_factory()
    for each in fields(Infotext)
}


_ALWAYS = {"Schedule type"}  # as A1111 does


def write_infotext(info: Infotext) -> str:
    """The text: the prompt, the negative prompt if there is one, one line of settings.

    Keys, order and quoting are A1111's, and what a missing key means is left out. Prompts with a
    line that begins as the negative prompt does stand in the settings once more, quoted, because
    nobody could tell them apart above; A1111 reads them there too.
    """
    lines = [info.prompt] if info.prompt else []
    if info.negative_prompt:
        lines.append(f"{NEGATIVE} {info.negative_prompt}")
    values = _values(info)
    if begins_negative(info.prompt) or begins_negative(info.negative_prompt):
        values[EXACT_PROMPT] = json.dumps(info.prompt, ensure_ascii=False)
        values[EXACT_NEGATIVE] = json.dumps(info.negative_prompt, ensure_ascii=False)
    if info.version is not None:
        values["Version"] = _quote(info.version)
    if hashes := _hashes(info):
        values[HASHES] = hashes
    return "\n".join([*lines, ", ".join(f"{key}: {text}" for key, text in values.items())])


def _values(info: Infotext) -> dict[str, str]:
    values = {}
    for name, key in KEYS.items():
        value = getattr(info, key.field)
        if name in _ALWAYS or (value != DEFAULTS[key.field] and name != "Version"):
            values[eta_key(info.sampler) if name == "Eta" else name] = _quote(key.kind.write(value))
    return values | {name: _quote(value) for name, value in info.extra.items()}


def _hashes(info: Infotext) -> str:
    """What Civitai reads, a JSON object. Its reader ends it at the first brace."""
    named = {
        "model": info.model_hash,
        "vae": info.vae_hash,
        **{f"lora:{name}": digest for name, digest in info.loras.items()},
        **{f"embed:{name}": digest for name, digest in info.embeddings.items()},
    }
    known = {name: digest for name, digest in named.items() if digest}
    text = json.dumps(known, ensure_ascii=False)[:-1]
    return text.replace("}", "\\u007d") + "}" if known else ""


def _quote(text: str) -> str:
    plain = text and text == text.strip() and not set(text) & set(',\n:"')
    return text if plain else json.dumps(text, ensure_ascii=False)
