"""What makes a picture the one it is: all a job says, and all that is the same for every job."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import lru_cache
from hashlib import sha256
from operator import attrgetter
from pathlib import Path
from typing import Any

from sakuga.engine.engine import Engine
from sakuga.engine.image.formats import FileFormat
from sakuga.engine.image.source import Source
from sakuga.engine.refine.detail import Detail
from sakuga.engine.runtime.parameters import TOOL
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.stages import Hires, Init, Mask, Stage, Upscale

NO_TOOLS: Mapping[str, str] = {}

_DEFAULTS = {each.name: each.default for each in fields(Request)}
_OTHERS = [name for name in _DEFAULTS if name not in ("prompt", "seed")]
_others = attrgetter(*_OTHERS)
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode
_OF_A_PRESET = attrgetter(
    *("size", "steps", "guidance", "sampler", "schedule", "clip_skip"),
    *("prefix", "suffix", "negative_prompt"),
)


def request_text(request: Request, tools: Mapping[str, str] = NO_TOOLS) -> str:
    """The request as JSON, equal for equal requests; what it leaves at its default is not there,
    so that a field a later version adds changes nothing.

    `tools`: upscalers and detectors of its stages, name to hash. Of picture files nothing is said,
    neither where they lie nor what they hold, which `inputs` knows.
    """
    others = _others_text(_others(request))
    seed = "" if request.seed is None else f',"seed":{request.seed}'
    named = f',"tools":{_encode(dict(sorted(tools.items())))}' if tools else ""
    return f'{{"prompt":{_encode(request.prompt)}{seed}{others}{named}}}'


@lru_cache(1 << 10)  # a file of a hundred thousand jobs says the same of most
def _others_text(values: tuple[object, ...]) -> str:
    given = {
        name: _plain(value)
        for name, value in zip(_OTHERS, values, strict=True)
        if value != _DEFAULTS[name]
    }
    return f",{_encode(given)[1:-1]}" if given else ""


def _plain(value: object) -> object:
    """A value as JSON has it: 7.0 and 7 are one guidance, a stage is what it says beside its
    defaults."""
    match value:
        case float():
            return int(value) if value.is_integer() else value
        case tuple():
            return [_plain(each) for each in value]
        case Source():
            return None if isinstance(value.origin, Path) else value.digest
        case Init() | Mask():
            return _said(value)
        case Hires() | Detail() | Upscale():
            return {type(value).__name__.lower(): _said(value)}
    return value


def _said(options: Init | Mask | Stage) -> dict[str, object]:
    said = {each.name: _plain(getattr(options, each.name)) for each in fields(options)
            if getattr(options, each.name) != each.default}  # fmt: skip
    return {name: value for name, value in said.items() if value is not None}


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
