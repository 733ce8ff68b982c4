"""What writer and reader of A1111's text agree on: its keys, and what their values look like."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sakuga.profiles.buckets import Size

NEGATIVE = "Negative prompt:"
EXACT_PROMPT, EXACT_NEGATIVE = "Prompt", "Negative prompt"
HASHES = "Hashes"

_WHOLE = re.compile(r"-?\d{1,20}")
_NUMBER = re.compile(r"-?(\d{1,20}\.?\d{0,20}|\.\d{1,20})(e[+-]?\d{1,3})?", re.IGNORECASE)
_SIZE = re.compile(r"(\d{1,6})x(\d{1,6})")
_NEGATIVE_LINE = re.compile(rf"^[^\S\n]*{NEGATIVE} ?", re.MULTILINE)


@dataclass(frozen=True)
class Kind:
    """How a value is written and read; `read` raises ValueError for what is none."""

    description: str
    write: Callable[[Any], str]
    read: Callable[[str], Any]


def _read_whole(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError
    return int(text)


def _read_seed(text: str) -> int:
    seed = _read_whole(text)
    if not 0 <= seed < 2**64:
        raise ValueError
    return seed


def _read_number(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise ValueError
    return float(text)


def _write_number(number: float) -> str:
    return repr(float(number)).removesuffix(".0")


def _read_size(text: str) -> Size:
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError
    return Size(int(found[1]), int(found[2]))


def _write_span(span: tuple[float, float]) -> str:
    return "-".join(map(_write_number, span))


def _read_span(text: str) -> tuple[float, float]:
    start, end = text.split("-")
    return _read_number(start), _read_number(end)


def _write_hashes(hashes: Mapping[str, str]) -> str:
    return ", ".join(f"{re.sub('[:,]', '', name)}: {digest}" for name, digest in hashes.items())


def _read_hashes(text: str) -> dict[str, str]:
    pairs = [entry.rpartition(":") for entry in text.split(",") if entry.strip()]
    return {name.strip(): digest.strip() for name, _, digest in pairs}


TEXT = Kind("text", str, str)
WHOLE = Kind("a whole number", str, _read_whole)
SEED = Kind("a whole number from 0, below 2**64", str, _read_seed)
NUMBER = Kind("a number", _write_number, _read_number)
SIZE = Kind("a size such as 832x1216", str, _read_size)
SPAN = Kind("two numbers such as 0.2-0.8", _write_span, _read_span)
FLAG = Kind("True or False", str, {"True": True, "False": False}.__getitem__)
NAMED_HASHES = Kind("names and hashes", _write_hashes, _read_hashes)
NAMED_WEIGHTS = Kind("names and weights", _write_hashes, _read_hashes)


@dataclass(frozen=True)
class Key:
    """The field of `Infotext` a key stands for."""

    field: str
    kind: Kind


# In A1111's order, ours behind its. A1111 takes colons and commas out of the names it hashes.
KEYS = {
    "Steps": Key("steps", WHOLE),
    "Sampler": Key("sampler", TEXT),
    "Schedule type": Key("schedule", TEXT),
    "CFG scale": Key("guidance", NUMBER),
    "Seed": Key("seed", SEED),
    "Size": Key("size", SIZE),
    "Model hash": Key("model_hash", TEXT),
    "Model": Key("model", TEXT),
    "VAE hash": Key("vae_hash", TEXT),
    "VAE": Key("vae", TEXT),
    "Variation seed": Key("variation_seed", SEED),
    "Variation seed strength": Key("variation_strength", NUMBER),
    "Seed resize from": Key("seed_resize", SIZE),
    "Clip skip": Key("clip_skip", WHOLE),
    "ENSD": Key("ensd", WHOLE),
    "RNG": Key("rng", TEXT),
    "Eta": Key("eta", NUMBER),
    "Sigma noise": Key("s_noise", NUMBER),
    "Lora hashes": Key("loras", NAMED_HASHES),
    "TI hashes": Key("embeddings", NAMED_HASHES),
    "Emphasis": Key("emphasis", TEXT),
    "Lora weights": Key("lora_weights", NAMED_WEIGHTS),
    "Pad conds": Key("pad_conds", FLAG),
    "Guidance interval": Key("guidance_interval", SPAN),
    "Compat": Key("compat", TEXT),
    "Negative zeroed": Key("negative_zeroed", FLAG),
    "Precision": Key("precision", TEXT),
    "Bundle": Key("bundle", TEXT),
    "Backend": Key("backend", TEXT),
    "Version": Key("version", TEXT),
}
NAMES = {key.field: name for name, key in KEYS.items()}


def eta_key(sampler: str) -> str:
    """A1111 has a key of its own for the eta of DDIM."""
    return "Eta DDIM" if sampler.startswith("DDIM") else "Eta"


def begins_negative(prompt: str) -> bool:
    """Whether a line of a prompt reads as the beginning of the negative prompt."""
    return _NEGATIVE_LINE.search(prompt) is not None


def split_prompts(text: str) -> tuple[str, str]:
    """Prompt and negative prompt, from the lines above the settings."""
    found = _NEGATIVE_LINE.search(text)
    if found is None:
        return text, ""
    return text[: found.start()].removesuffix("\n"), text[found.end() :]
