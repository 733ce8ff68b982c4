"""What makes a picture the one it is: all a job says, and all that is the same for every job."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import lru_cache
from hashlib import sha256
from operator import attrgetter
from typing import Any

from sakuga.engine.engine import Engine
from sakuga.engine.image.formats import FileFormat
from sakuga.engine.runtime.parameters import TOOL
from sakuga.engine.runtime.request import Request

_DEFAULTS = {each.name: each.default for each in fields(Request)}
_OTHERS = [name for name in _DEFAULTS if name not in ("prompt", "seed")]
_others = attrgetter(*_OTHERS)
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode
_OF_A_PRESET = attrgetter(
    *("size", "steps", "guidance", "sampler", "schedule", "clip_skip"),
    *("prefix", "suffix", "negative_prompt"),
)


def request_text(request: Request) -> str:
    """The request as JSON, equal for equal requests; what it leaves at its default is not there,
    so that a field a later version adds changes nothing."""
    others = _others_text(_others(request))
    seed = "" if request.seed is None else f',"seed":{request.seed}'
    return f'{{"prompt":{_encode(request.prompt)}{seed}{others}}}'


@lru_cache(1 << 10)  # a file of a hundred thousand jobs says the same of most
def _others_text(values: tuple[object, ...]) -> str:
    given = {
        name: int(value) if type(value) is float and value.is_integer() else value
        for name, value in zip(_OTHERS, values, strict=True)
        if value != _DEFAULTS[name]
    }  # 7.0 and 7 are one guidance
    return f",{_encode(given)[1:-1]}" if given else ""


def facts_text(engine: Engine, format: FileFormat) -> str:
    """What beside the request decides over a picture's bytes, as JSON."""
    preset = engine.preset
    facts = {
        "bundle": engine.bundle.manifest.bundle_hash,
        "backend": engine.backend,
        "version": TOOL,
        "format": _format(format),
    }
    if preset is not None:
        facts["preset"] = f"{preset.name} {_digest(repr(_OF_A_PRESET(preset)))}"
    if engine.embeddings:
        facts["embeddings"] = ", ".join(
            f"{name} {digest}" for name, digest in sorted(engine.embeddings.items())
        )
    return json.dumps(facts, ensure_ascii=False, sort_keys=True)


def differences(before: str, now: str) -> list[str]:
    """What has changed from one such text to the other, in words: "steps: 28 then, 30 now"."""
    old, new = (json.loads(text) for text in (before, now))
    names = [name for name in {**new, **old} if old.get(name) != new.get(name)]
    return [f"{name}: {_shown(old, name)} then, {_shown(new, name)} now" for name in names]


def _format(format: FileFormat) -> str:
    quality = getattr(format.options, "quality", None)
    name = type(format.options).__name__.removesuffix("Options").lower()
    return name if quality is None else f"{name} {quality}"


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:10]


def _shown(values: Mapping[str, Any], name: str) -> str:
    if name not in values:
        default = _DEFAULTS.get(name)
        return "none" if default is None or default is MISSING else str(default)
    text = json.dumps(values[name], ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"
