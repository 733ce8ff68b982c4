"""Presets: what the card of a model says about using it, one TOML file a model."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from sakuga.profiles.buckets import Size
from sakuga.profiles.families import FAMILIES

FOLDER = Path(__file__).with_name("presets")


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A model's recommended settings.

    `name` is the file's name. `hashes`: first ten hex digits of the SHA-256 of known files.
    `guidance_range`: lowest and highest recommended guidance. `sampler` is A1111's label.
    `clip_skip` counts as A1111 counts. `prefix` goes before a prompt. None: the card says nothing.
    """

    name: str
    title: str
    source: str
    licence: str
    family: str
    width: int
    height: int
    steps: int
    guidance: float
    sampler: str
    hashes: tuple[str, ...] = ()
    guidance_range: tuple[float, float] | None = None
    prefix: str = ""
    negative_prompt: str = ""
    clip_skip: int | None = None

    @property
    def size(self) -> Size:
        return Size(self.width, self.height)


def load_preset(name: str) -> Preset:
    """The shipped preset of that name. Raises ValueError that names the nearest or all."""
    presets = all_presets()
    if name in presets:
        return presets[name]
    near = get_close_matches(name, presets, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(presets)}"
    raise ValueError(f"no preset is called {name!r}; {hint}")


@cache
def all_presets() -> Mapping[str, Preset]:
    """All shipped presets by name, in alphabetical order."""
    return {path.stem: read_preset(path) for path in sorted(FOLDER.glob("*.toml"))}


def preset_for_hash(hash10: str) -> Preset | None:
    """The preset of a checkpoint by the first ten hex digits of its SHA-256, None if unknown."""
    wanted = hash10.lower()
    return next((preset for preset in all_presets().values() if wanted in preset.hashes), None)


def read_preset(path: Path) -> Preset:
    """Reads a preset file. Raises ValueError that names file and key for what is wrong."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a TOML file: {error}") from error
    _check_keys(table, path)
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
    }
    for key, value in values.items():
        if not _CHECKS[key](value):
            raise ValueError(f"{path}: key {key!r} cannot be {value!r}")
    preset = Preset(name=path.stem, **values)
    _check_together(preset, path)
    return preset


def _check_keys(table: Mapping[str, object], path: Path) -> None:
    for key in table:
        if key not in _CHECKS:
            near = get_close_matches(key, _CHECKS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{path}: unknown key {key!r}{hint}")
    for field in fields(Preset):
        if field.name in _CHECKS and field.default is MISSING and field.name not in table:
            raise ValueError(f"{path}: key {field.name!r} is missing")


def _check_together(preset: Preset, path: Path) -> None:
    if not FAMILIES[preset.family].sizes.allows(preset.size):
        raise ValueError(f"{path}: {preset.family} does not render {preset.size}")
    low, high = preset.guidance_range or (preset.guidance, preset.guidance)
    if not low <= preset.guidance <= high:
        raise ValueError(f"{path}: guidance {preset.guidance} is outside {low} to {high}")


def _text(value: object) -> bool:
    return isinstance(value, str)


def _named(value: object) -> bool:
    return isinstance(value, str) and value.strip() != ""


def _count(value: object) -> bool:
    return type(value) is int and value > 0


def _guidance(value: object) -> bool:
    return type(value) in (int, float) and 0 <= float(str(value)) < 100


def _range(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(map(_guidance, value))


def _hashes(value: object) -> bool:
    return isinstance(value, tuple) and all(
        isinstance(one, str) and re.fullmatch("[0-9a-f]{10}", one) for one in value
    )


def _family(value: object) -> bool:
    return isinstance(value, str) and value in FAMILIES


_CHECKS = {
    "title": _named,
    "source": _named,
    "licence": _named,
    "family": _family,
    "hashes": _hashes,
    "width": _count,
    "height": _count,
    "steps": _count,
    "guidance": _guidance,
    "guidance_range": _range,
    "sampler": _named,
    "clip_skip": _count,
    "prefix": _text,
    "negative_prompt": _text,
}
