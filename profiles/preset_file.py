"""Read a preset file: TOML, whose keys are the fields of `Preset` and nothing else."""

import re
import tomllib
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from sakuga.profiles.buckets import Size
from sakuga.profiles.families import FAMILIES
from sakuga.profiles.preset import Preset

NO_PRESET = "none"  # what people write for "without a preset"


class PresetFileError(ValueError):
    """A preset file that is not as it should be. `key` is "" where no single key is at fault."""

    def __init__(self, path: Path, key: str, fault: str) -> None:
        super().__init__(f"{path}: key {key!r} {fault}" if key else f"{path} {fault}")
        self.path = path
        self.key = key
        self.fault = fault


class _FaultError(Exception):
    def __init__(self, key: str, fault: str) -> None:
        super().__init__(key, fault)
        self.key = key
        self.fault = fault


def read_preset(path: Path) -> Preset:
    """Read a preset file. Raises PresetFileError for the first thing that is wrong.

    Keys inside tables are named as in `licence.name` and `tags[0].tags[2].meaning`, counted from
    0. Sizes are texts such as "832x1216", ranges are two numbers.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        preset: Preset = _table(Preset, raw, "", {"name": path.stem, "file": str(path)})
        _check_together(preset)
    except OSError as error:
        raise PresetFileError(path, "", f"cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PresetFileError(path, "", f"is not a TOML file: {error}") from error
    except _FaultError as error:
        raise PresetFileError(path, error.key, error.fault) from error
    return preset


def _table(kind: Any, raw: object, key: str, given: dict[str, Any]) -> Any:  # noqa: ANN401
    if not isinstance(raw, dict):
        raise _FaultError(key, f"must be a table, not {_shown(raw)}")
    hints, within = get_type_hints(kind), f"{key}." if key else ""
    known = [field.name for field in fields(kind) if field.name not in given]
    for name in raw:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            words = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise _FaultError(f"{within}{name}", f"is unknown; {words}")
    for field in fields(kind):
        if field.default is MISSING and field.name not in raw.keys() | given.keys():
            raise _FaultError(f"{within}{field.name}", "is missing")
    values = {name: _value(hints[name], raw[name], f"{within}{name}") for name in raw}
    return kind(**given, **values)


def _value(kind: Any, raw: Any, key: str) -> Any:  # noqa: ANN401 (any annotation, any TOML)
    origin, args = get_origin(kind), get_args(kind)
    if origin is UnionType:  # with None, which is no value of TOML: the key is left out instead
        return _value(args[0], raw, key)
    if kind is Size:
        return _size(raw, key)
    if is_dataclass(kind):
        return _table(kind, raw, key, {})
    if origin is tuple and args[-1] is Ellipsis:
        if not isinstance(raw, list):
            raise _FaultError(key, f"must be a list, not {_shown(raw)}")
        return tuple(_value(args[0], item, f"{key}[{n}]") for n, item in enumerate(raw))
    if origin is tuple:
        return _range(args[0], raw, key)
    if origin is Literal:
        if raw not in args:
            choices = ", ".join(map(repr, args))
            raise _FaultError(key, f"must be one of {choices}, not {_shown(raw)}")
        return raw
    return _plain(kind, raw, key)


def _size(raw: object, key: str) -> Size:
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", raw) if isinstance(raw, str) else None
    if found is None:
        raise _FaultError(key, f'must be a size such as "832x1216", not {_shown(raw)}')
    return Size(int(found[1]), int(found[2]))


def _range(kind: type, raw: object, key: str) -> tuple[Any, Any]:
    if not isinstance(raw, list) or len(raw) != 2:
        raise _FaultError(key, f"must be a lowest and a highest number, not {_shown(raw)}")
    low, high = (_plain(kind, end, key) for end in raw)
    if low > high:
        raise _FaultError(key, f"must rise, not {_shown(raw)}")
    return low, high


def _plain(kind: type, raw: object, key: str) -> Any:  # noqa: ANN401
    value = float(raw) if kind is float and type(raw) is int else raw
    if type(value) is not kind:
        raise _FaultError(key, f"must be {_WORDS[kind]}, not {_shown(raw)}")
    name = re.sub(r"\[\d+\]$", "", key).rpartition(".")[2].removesuffix("_range")
    words, allows = _CHECKS.get(name) or _USUAL[kind]
    if not allows(value):
        raise _FaultError(key, f"must be {words}, not {_shown(raw)}")
    return value


def _shown(raw: object) -> str:
    text = repr(raw)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _is_hash(text: str) -> bool:
    return re.fullmatch("[0-9a-f]{10}", text) is not None


_Check = tuple[str, Callable[[Any], bool]]
_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
_ANY_TEXT: _Check = ("text", lambda text: True)
_EITHER: _Check = ("true or false", lambda truth: True)
_USUAL: dict[type, _Check] = {
    str: ("text that is not blank", lambda text: bool(text.strip())),
    int: ("at least 1", lambda number: number >= 1),
    float: ("at least 0", lambda number: number >= 0),
    bool: _EITHER,
}
_CHECKS: dict[str, _Check] = {
    "family": (f"one of {', '.join(FAMILIES)}", lambda name: name in FAMILIES),
    "hashes": ("ten hex digits in lower case", _is_hash),
    "steps": ("from 1 to 1000", lambda steps: 1 <= steps <= 1000),
    "guidance": ("from 0 to 100", lambda guidance: 0 <= guidance <= 100),
    "clip_skip": ("from 1 to 12", lambda layers: 1 <= layers <= 12),
    "prefix": _ANY_TEXT,
    "suffix": _ANY_TEXT,
    "negative_prompt": _ANY_TEXT,
}


def _check_together(preset: Preset) -> None:
    if preset.name == NO_PRESET:
        raise _FaultError("", f"cannot be called {NO_PRESET}: that means no preset")
    for key, sizes in (("size", (preset.size,)), ("sizes", preset.sizes)):
        for size in sizes:
            if not FAMILIES[preset.family].sizes.allows(size):
                raise _FaultError(key, f"holds {size}, which {preset.family} does not render")
    if preset.sides is not None and preset.sides.minimum > preset.sides.maximum:
        raise _FaultError("sides.minimum", "is larger than sides.maximum")
    for key in ("steps", "guidance"):
        value = getattr(preset, key)
        low, high = getattr(preset, f"{key}_range") or (value, value)
        if not low <= value <= high:
            raise _FaultError(key, f"is {value:g}, which {key}_range does not hold")
    groups = [group.group for group in preset.tags]
    for group in groups:
        if groups.count(group) > 1:
            raise _FaultError("tags", f"holds the group {group!r} twice")
