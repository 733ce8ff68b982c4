"""What a LoRA file is, for people: kind, ranks, what it changes and was made for, trigger words."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from sakuga.export.adapters.kinds import Kind, kind_of
from sakuga.export.adapters.lora_file import LoraFile, open_lora
from sakuga.export.adapters.match import LENGTHS
from sakuga.export.adapters.origin import origin
from sakuga.export.counted import counted

_TITLES = ("modelspec.title", "ss_output_name")
_BASES = ("ss_sd_model_name", "modelspec.architecture", "ss_base_model_version")
_TAGS = 12  # how many of the most frequent ones are trigger words to look at

Facts = dict[str, object]


def describe_lora(path: Path) -> tuple[Facts, dict[str, str]]:
    """Everything, JSON-ready, and what people look for, a line each. Raises what `open_lora` does.

    Trigger words are those the file states, and the tags its pictures were most often captioned
    with, which kohya's scripts write down.
    """
    lora = open_lora(path)
    with lora.file:
        facts = _facts(lora)
        size_bytes = sum(info.end - info.start for info in lora.file.tensors.values())
    summary = {
        "LoRA": f"{path} ({facts['hash']})",
        "kind": _listed(facts["kinds"]),
        "rank": _listed(facts["ranks"], "has none"),
        "changes": _listed(facts["changes"]),
        "made for": str(facts["made_for"] or "not told"),
        "trained on": str(facts["base"] or "not told"),
        "title": str(facts["title"] or "not told"),
        "triggers": str(facts["trigger"] or "not told"),
        "top tags": _listed(facts["tags"], "not told"),
        "size": f"{size_bytes / 1e6:,.1f} MB",
    }
    if lora.parts.embeddings:
        summary["embeddings"] = ", ".join(lora.parts.embeddings)
    if lora.parts.strange:
        summary["not read"] = f"{counted(len(lora.parts.strange), 'key')} of no known ending"
    return facts, summary


def _facts(lora: LoraFile) -> Facts:
    metadata, kinds = lora.file.metadata, _kinds(lora)
    ranks = sorted((rank for _, rank, _ in kinds if rank), reverse=True)
    return {
        "kind": "lora",
        "name": lora.name,
        "hash": lora.hash,
        "sha256": lora.file.sha256(),
        "kinds": _counts(name for name, _, _ in kinds),
        "ranks": _counts(str(rank) for rank in ranks),
        "changes": _counts(part for _, _, part in kinds),
        "made_for": origin(lora),
        "base": _first(metadata, _BASES),
        "title": _first(metadata, _TITLES),
        "trigger": metadata.get("modelspec.trigger_phrase", ""),
        "tags": _tags(metadata),
        "embeddings": list(lora.parts.embeddings),
        "strange": list(lora.parts.strange),
        "metadata": dict(metadata),
    }


def _kinds(lora: LoraFile) -> list[tuple[str, int | None, str]]:
    """Kind, rank and network of every module that has a kind."""
    found: list[tuple[str, int | None, str]] = []
    for spelling, keys in lora.parts.modules.items():
        kind = kind_of(keys)
        if kind is not None:
            name = kind.name + (" with DoRA" if set(LENGTHS) & keys.keys() else "")
            found.append((name, _rank(lora, kind, keys), _network(spelling)))
    return found


def _rank(lora: LoraFile, kind: Kind, keys: Mapping[str, str]) -> int | None:
    try:
        return kind.rank(lora.shapes(keys))
    except LookupError:  # parts are missing; only a build refuses that
        return None


def _network(spelling: str) -> str:
    return "text encoder" if spelling.startswith(("lora_te", "text_encoder")) else "UNet"


def _counts(names: Iterable[str]) -> dict[str, int]:
    """The most frequent first, then as they come."""
    return dict(Counter(names).most_common())


def _tags(metadata: Mapping[str, str]) -> dict[str, int]:
    """The most frequent tags over all folders of pictures, as kohya's scripts count them."""
    counts: Counter[str] = Counter()
    try:
        folders = json.loads(metadata.get("ss_tag_frequency", "{}"))
    except (ValueError, RecursionError):
        return {}
    for tags in _values(folders):
        for tag, count in tags.items() if isinstance(tags, dict) else ():
            if type(count) is int:
                counts[tag.strip()] += count
    return dict(counts.most_common(_TAGS))


def _values(table: object) -> Iterable[object]:
    return table.values() if isinstance(table, dict) else ()


def _first(metadata: Mapping[str, str], keys: Iterable[str]) -> str:
    return next((metadata[key] for key in keys if metadata.get(key)), "")


def _listed(counts: object, empty: str = "nothing") -> str:
    """`LoRA`, or with several what each counts: `LoRA (700), IA3 (22)`."""
    assert isinstance(counts, dict)
    if len(counts) == 1:
        return str(next(iter(counts)))
    return ", ".join(f"{name} ({count})" for name, count in counts.items()) or empty
