"""A1111's `parameters` text, read: by Sakuga, A1111, Forge, and what writes as they do."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from itertools import islice
from typing import Any

from sakuga.engine.errors import MetadataError
from sakuga.engine.image.infotext import Infotext
from sakuga.engine.image.infotext_keys import (
    EXACT_NEGATIVE,
    EXACT_PROMPT,
    HASHES,
    KEYS,
    NAMES,
    Key,
    split_prompts,
)

FEWEST = 3  # pairs: a last line of fewer belongs to the prompt, as in A1111
MOST = 1000  # each may cost a look at the whole line, and tools write a hundred at most
_NAME = re.compile(r"\s*(\w[\w \-/]+):\s*")
_PLAIN = re.compile(r"[^,]*")
_END = re.compile(r"\s*(,|$)")
_JSON = json.JSONDecoder()

# What A1111 wrote behind the sampler before it had a key for the schedule; "SGM Uniform" before the
# other that ends as it does.
_SCHEDULES = (
    *("Automatic", "SGM Uniform", "Uniform", "Karras", "Exponential", "Polyexponential"),
    *("KL Optimal", "Align Your Steps", "Simple", "Normal", "DDIM", "Beta", "Turbo"),
)


@dataclass(frozen=True)
class Parameters:
    """The text taken apart. `values`: each key's value as it is written, without its quotes."""

    prompt: str
    negative_prompt: str
    values: Mapping[str, str]


def split_parameters(text: str) -> Parameters | None:
    """Prompts and settings, None where the last line holds no settings.

    Raises MetadataError for more settings than any tool writes.
    """
    head, _, line = text.rstrip().rpartition("\n")
    pairs = list(islice(_pairs(line), MOST + 1))
    if len(pairs) < FEWEST:
        return None
    if len(pairs) > MOST:
        raise MetadataError(
            "There are too many settings in this text.", note=f"At most {MOST:,} are read."
        )
    values = dict(pairs)
    prompt, negative = split_prompts(head)
    return Parameters(
        values.pop(EXACT_PROMPT, prompt), values.pop(EXACT_NEGATIVE, negative), values
    )


def parse_infotext(text: str) -> Infotext:
    """The settings in the text. A missing key means what A1111 takes it for.

    Raises MetadataError where there are none, where one that every tool writes is missing, and
    where a value cannot be what it should be.
    """
    found = split_parameters(text)
    if found is None:
        raise MetadataError(
            "There are no settings in this text.",
            note="Its last line would hold them: Steps: 28, Sampler: Euler a, CFG scale: 7, …",
        )
    values = dict(found.values)
    if "Eta DDIM" in values:
        values["Eta"] = values.pop("Eta DDIM")
    civitai = _hashes(values.pop(HASHES, "{}"))
    known: dict[str, Any] = {
        KEYS[name].field: _value(KEYS[name], name, values[name]) for name in KEYS & values.keys()
    }
    given = civitai | known
    _check_complete(given)
    return Infotext(
        prompt=found.prompt,
        negative_prompt=found.negative_prompt,
        extra={name: value for name, value in values.items() if name not in KEYS},
        **given | _sampler(given["sampler"]),
    )


def _pairs(line: str) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(line):
        if name := _NAME.match(line, place):
            value, place = _text(line, name.end())
            yield name[1], value
        else:
            place = _plain(line, place)[1]


def _text(line: str, start: int) -> tuple[str, int]:
    """The value that starts here, unquoted, and where the next pair may start."""
    if line[start : start + 1] in ('"', "{", "["):
        try:
            value, end = _JSON.raw_decode(line, start)
        except (ValueError, RecursionError):
            return _plain(line, start)
        if closed := _END.match(line, end):
            return value if isinstance(value, str) else line[start:end], closed.end()
    return _plain(line, start)


def _plain(line: str, start: int) -> tuple[str, int]:
    found = _PLAIN.match(line, start)
    assert found is not None  # it matches nothing, too
    return found[0].strip(), found.end() + 1


def _value(key: Key, name: str, text: str) -> Any:  # noqa: ANN401 (any field)
    try:
        return key.kind.read(text)
    except (ValueError, KeyError) as error:
        raise MetadataError(
            f"The settings say {name}: {text[:40]!r}.",
            note=f"It should be {key.kind.description}.",
            hint="The text may have been edited by hand; no tool writes this.",
        ) from error


def _hashes(text: str) -> dict[str, Any]:
    """Fields that Civitai's JSON object tells, for tools that write no other."""
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(raw, dict):
        return {}
    hashes = {name: value for name, value in raw.items() if isinstance(value, str)}
    found: dict[str, Any] = {"model_hash": hashes.get("model"), "vae_hash": hashes.get("vae")}
    for kind, field in (("lora:", "loras"), ("embed:", "embeddings")):
        found[field] = {n.removeprefix(kind): h for n, h in hashes.items() if n.startswith(kind)}
    return {field: value for field, value in found.items() if value}


def _check_complete(given: Mapping[str, object]) -> None:
    needed = [
        NAMES[each.name]
        for each in fields(Infotext)
        if each.default is MISSING and each.default_factory is MISSING and each.name in NAMES
    ]
    absent = [name for name in needed if KEYS[name].field not in given]
    if absent:
        raise MetadataError(
            f"The settings do not say {', '.join(absent)}.",
            note="Every tool that writes this text says it; perhaps the text was shortened.",
        )


def _sampler(name: str) -> dict[str, Any]:
    """The sampler of a name that may hold the schedule too, such as "DPM++ 2M Karras"."""
    for schedule in _SCHEDULES:
        if name.endswith(f" {schedule}"):
            return {"sampler": name.removesuffix(f" {schedule}"), "schedule": schedule}
    return {"sampler": name}
