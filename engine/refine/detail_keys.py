"""A detailer's options in a picture's settings: ADetailer's keys, written and read.

The keys of a second pass end in " 2nd", of a third in " 3rd". As in ADetailer, what is at its
default is left out for those keys whose absence says so. "ADetailer exclude classes" and
"ADetailer sort by" are Sakuga's own: ADetailer has no such option, and keeps its order of boxes in
the settings of the program.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sakuga.engine.errors import MetadataError, UsageError
from sakuga.engine.refine.detail import Detail

VERSION = "25.3.0"  # of ADetailer, whose rules these are
_BEGIN = "ADetailer "
_VERSION_KEY = _BEGIN + "version"
_MOST = 15  # passes: as many tabs as ADetailer can have

_TOP_BY = {"area": "Area", "confidence": "Confidence"}
_MERGE = {"none": "None", "merge": "Merge", "merge and invert": "Merge and Invert"}
_SORT = {
    "none": "None",
    "left to right": "Position (left to right)",
    "center to edge": "Position (center to edge)",
    "area": "Area (large to small)",
}


@dataclass(frozen=True)
class _Key:
    """How a field stands in the settings. `unless`: the value that is left out; `switch`: the key
    that says the field is used at all."""

    field: str
    write: Callable[[Any], str]
    read: Callable[[str], Any]
    unless: Any = ...
    switch: str | None = None


def _text(field: str, unless: object = ..., switch: str | None = None) -> _Key:
    return _Key(field, str, str, unless, switch)


def _whole(field: str, unless: object = ..., switch: str | None = None) -> _Key:
    return _Key(field, str, int, unless, switch)


def _number(field: str, unless: object = ..., switch: str | None = None) -> _Key:
    return _Key(field, lambda value: str(float(value)), float, unless, switch)


def _names(field: str) -> _Key:
    return _Key(field, ", ".join, _split, ())


def _word(field: str, words: Mapping[str, str], unless: object = ...) -> _Key:
    back = {word: value for value, word in words.items()}
    return _Key(field, words.__getitem__, back.__getitem__, unless)


def _split(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


_SIZE, _STEPS = "use inpaint width height", "use separate steps"
_GUIDANCE, _SAMPLER = "use separate CFG scale", "use separate sampler"
_KEYS = {  # in ADetailer's order
    "model": _text("model"),
    "model classes": _names("classes"),
    "exclude classes": _names("exclude"),
    "prompt": _text("prompt", unless=""),
    "negative prompt": _text("negative_prompt", unless=""),
    "confidence": _number("confidence"),
    "method to decide top k masks": _word("top_by", _TOP_BY),
    "mask only top k": _whole("top_k", unless=0),
    "mask min ratio": _number("min_ratio", unless=0),
    "mask max ratio": _number("max_ratio", unless=1),
    "sort by": _word("sort", _SORT, unless="none"),
    "x offset": _whole("x_offset", unless=0),
    "y offset": _whole("y_offset", unless=0),
    "dilate erode": _whole("dilate"),
    "mask merge invert": _word("merge", _MERGE, unless="none"),
    "mask blur": _whole("blur"),
    "denoising strength": _number("strength"),
    "inpaint only masked": _Key("only_masked", str, {"True": True, "False": False}.__getitem__),
    "inpaint padding": _whole("padding"),
    "inpaint width": _whole("width", unless=None, switch=_SIZE),
    "inpaint height": _whole("height", unless=None, switch=_SIZE),
    "steps": _whole("steps", unless=None, switch=_STEPS),
    "CFG scale": _number("guidance", unless=None, switch=_GUIDANCE),
    "sampler": _text("sampler", unless=None, switch=_SAMPLER),
    "scheduler": _text("schedule", unless=None, switch=_SAMPLER),
}
_FORMER = {"mask only top k": "mask only top k largest"}  # how older versions say it
_SWITCHES = {key.switch for key in _KEYS.values() if key.switch}
_SAME_SAMPLER = "Use same sampler"
_SAME = {_SAME_SAMPLER, "Use same scheduler"}  # what says that a field is not used


def detail_keys(details: Sequence[Detail]) -> dict[str, str]:
    """Keys and values, unquoted, of all passes of a picture; none where there is none."""
    found = {
        f"{_BEGIN}{name}{_ordinal(at)}": value
        for at, detail in enumerate(details)
        for name, value in _written(detail)
    }
    return found | {_VERSION_KEY: VERSION} if found else {}


def _written(detail: Detail) -> Iterator[tuple[str, str]]:
    said = set[str]()
    for name, key in _KEYS.items():
        value = getattr(detail, key.field)
        if name == "sampler" and value is None and detail.schedule is not None:
            value = _SAME_SAMPLER
        if value == key.unless or _beside_the_point(name, detail):
            continue
        if key.switch and key.switch not in said:
            said.add(key.switch)
            yield key.switch, "True"
        yield name, key.write(value)


def _beside_the_point(name: str, detail: Detail) -> bool:
    """What the value of another option makes idle, and ADetailer leaves out."""
    if name == "inpaint padding":
        return not detail.only_masked
    return name == "method to decide top k masks" and detail.top_k == 0


def read_details(settings: Mapping[str, str]) -> tuple[tuple[Detail, ...], dict[str, str]]:
    """The passes a picture's settings tell, and which of ADetailer's keys no `Detail` can follow.

    Of a picture's other settings nothing is looked at. Raises MetadataError for values that no
    ADetailer writes.
    """
    given = {
        key.removeprefix(_BEGIN): value
        for key, value in settings.items()
        if key.startswith(_BEGIN) and key != _VERSION_KEY
    }
    details = list[Detail]()
    for at in range(_MOST):
        if "model" + _ordinal(at) in given:
            details.append(_read_one(given, _ordinal(at)))
    return tuple(details), {_BEGIN + name: value for name, value in given.items()}


def _read_one(given: dict[str, str], end: str) -> Detail:
    """One pass; takes what it understands out of `given`."""
    off = {switch for switch in _SWITCHES if given.pop(switch + end, "True") != "True"}
    fields = dict[str, Any]()
    for name, key in _KEYS.items():
        text = given.pop(name + end, None)
        text = given.pop(_FORMER.get(name, name) + end, text)
        if text is None or text in _SAME or key.switch in off:
            continue
        try:
            fields[key.field] = key.read(text)
        except (KeyError, ValueError):
            raise MetadataError(
                f"{_BEGIN}{name}{end} cannot be {text!r}.", hint="--ignore adetailer leaves it out."
            ) from None
    try:
        return Detail(**fields)
    except UsageError as error:
        raise MetadataError(
            f"The settings of the detailer are no such settings: {error.what}",
            hint="--ignore adetailer leaves them out.",
        ) from error


def _ordinal(at: int) -> str:
    """How the keys of pass `at` end, counted from 0."""
    if at == 0:
        return ""
    number = at + 1
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f" {number}{'th' if 11 <= number <= 13 else ending}"
