"""What the value of a field may be: how it is read, how text becomes it, and its JSON Schema."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sakuga.engine.jobs.ids import MAX_BYTES, id_fault
from sakuga.profiles.buckets import Size

LARGEST_NUMBER = 2**53  # floats are exact up to here
LONGEST_NAME = 200  # characters of a sampler's name and the like
LONGEST_PATH = 4096

# The end of a text, and what is no character at all, cannot stand in a picture's settings.
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_NUMBER = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*", re.ASCII)
_SIZE = re.compile(r"[0-9]{1,5}x[0-9]{1,5}")
_SPAN = re.compile(r"(0|1|0\.\d{1,17})-(0|1|0\.\d{1,17})")
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class Kind:
    """What a field may be.

    `description` ends the sentence "it must be …". `read` takes a JSON value to what a `Request`
    holds, and raises ValueError, whose text may say why, or UsageError for anything else.
    `from_text` takes the text of a cell or an option to a JSON value that `read` judges. `schema`
    says of a JSON value what JSON Schema can say; `read` never takes what it refuses. `several`:
    the schema of a list that is one value, where one can be; an axis is then a list of such lists.
    """

    description: str
    read: Callable[[Any], Any]
    schema: Mapping[str, Any]
    from_text: Callable[[str], object] = str
    several: Mapping[str, Any] | None = None


def whole(least: int, most: int, description: str) -> Kind:
    """A whole number within limits; 28.0 is one too, as in JSON Schema."""

    def read(value: object) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if type(value) is not int or not least <= value <= most:
            raise ValueError
        return value

    schema = {"type": "integer", "minimum": least, "maximum": most}
    return Kind(description, read, schema, _number)


def number(least: int, most: int, description: str) -> Kind:
    """A number within limits."""

    def read(value: object) -> float:
        # Infinity and NaN, which Python reads from 1e999, lie within no limits.
        if type(value) not in (int, float) or not least <= value <= most:  # type: ignore[operator]
            raise ValueError
        return value  # type: ignore[return-value]

    return Kind(description, read, {"type": "number", "minimum": least, "maximum": most}, _number)


def text(longest: int, description: str) -> Kind:
    """Text of at most `longest` characters."""
    schema = {"type": "string", "maxLength": longest, "pattern": f"^{_no_text()}*$"}
    return Kind(description, lambda value: _text(value, longest), schema)


def word(longest: int, description: str) -> Kind:
    """Text of at most `longest` characters that is not blank."""

    def read(value: object) -> str:
        found = _text(value, longest)
        if not found.strip():
            raise ValueError
        return found

    schema = {
        "type": "string",
        "maxLength": longest,
        "pattern": f"^(?=[\\s\\S]*\\S){_no_text()}*$",
    }
    return Kind(description, read, schema)


def name(find: Callable[[str], object], description: str, known: Sequence[str] = ()) -> Kind:
    """A name that `find` knows; it raises UsageError for others. `known`: all there are, where
    only one spelling of each is right."""
    find = lru_cache(find)  # a file of a hundred thousand jobs names few samplers

    def read(value: object) -> str:
        spelling = _text(value, LONGEST_NAME)
        find(spelling)
        return spelling

    schema = {"enum": list(known)} if known else {"type": "string", "maxLength": LONGEST_NAME}
    return Kind(description, read, schema)


def one_of(options: Sequence[str], description: str) -> Kind:
    """One of a few words."""

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in options:
            raise ValueError
        return value

    return Kind(description, read, {"enum": list(options)})


def truth(description: str) -> Kind:
    """True or false; as text also 1 and 0."""

    def read(value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError
        return value

    def from_text(written: str) -> object:
        return _TRUTHS.get(written.strip().lower(), written)

    return Kind(description, read, {"type": "boolean"}, from_text)


def size(description: str) -> Kind:
    """A size in pixels, written 832x1216."""

    def read(value: object) -> Size:
        if not isinstance(value, str) or not _SIZE.fullmatch(value):
            raise ValueError
        return Size.parse(value)

    return Kind(description, read, {"type": "string", "pattern": f"^{_SIZE.pattern}$"})


def span(description: str) -> Kind:
    """Two shares of the way, written 0.2-0.8."""

    def read(value: object) -> tuple[float, float]:
        if not isinstance(value, str) or not _SPAN.fullmatch(value):
            raise ValueError
        start, end = map(float, value.split("-"))
        if not start < end:
            raise ValueError
        return start, end

    return Kind(description, read, {"type": "string", "pattern": f"^{_SPAN.pattern}$"})


def file_name(description: str) -> Kind:
    """Text that is a safe file name on every system."""

    def read(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError
        if fault := id_fault(value):
            raise ValueError(fault)
        return value

    return Kind(description, read, {"type": "string", "minLength": 1, "maxLength": MAX_BYTES})


def picture(description: str) -> Kind:
    """The path of a picture file. Which file that is, and whether it is one, is seen later."""

    def read(value: object) -> str:
        path = _text(value, LONGEST_PATH)
        if not path:
            raise ValueError("it is empty")
        if "://" in path:
            raise ValueError("it is an address, and nothing is fetched: save it as a file")
        return path

    longest = {"minLength": 1, "maxLength": LONGEST_PATH, "pattern": f"^{_no_text()}*$"}
    return Kind(description, read, {"type": "string", **longest})


def names(description: str) -> Kind:
    """Names, in a list or between commas, to a tuple."""

    def read(value: object) -> tuple[str, ...]:
        given = value.split(",") if isinstance(value, str) else value
        if not isinstance(given, list):
            raise ValueError
        return tuple(filter(None, (_text(each, LONGEST_NAME).strip() for each in given)))

    each = {"type": "string", "maxLength": LONGEST_NAME}
    return Kind(
        description, read, {"anyOf": [{"type": "string"}, {"type": "array", "items": each}]}
    )


def _text(value: object, longest: int) -> str:
    if not isinstance(value, str):
        raise ValueError
    if len(value) > longest:
        raise ValueError(f"it has {len(value):,} characters")
    if value.isascii() and "\0" not in value:  # most are, and it is quicker to see
        return value
    if found := _NO_TEXT.search(value):
        fault = "a NUL" if found[0] == "\0" else f"the lone surrogate U+{ord(found[0]):04X}"
        raise ValueError(f"it holds {fault}")
    return value


def _no_text() -> str:
    """The class of all other characters, in letters that every reader of a schema understands."""
    return r"[^\u0000\ud800-\udfff]"


def _number(written: str) -> object:
    """The number a text says, the text itself where it says none."""
    if len(written) < 20 and written.isascii() and written.isdigit():
        return int(written)
    match = _NUMBER.fullmatch(written)
    if match is None:
        return written
    try:
        return int(written) if match[1].isdigit() and not match[2] else float(written)
    except ValueError:  # more digits than Python reads
        return written
