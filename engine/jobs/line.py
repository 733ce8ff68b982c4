"""A line of a job file, checked: what each of its fields asks for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, NoReturn

from sakuga.engine.errors import UsageError
from sakuga.engine.jobs.fields import FIELD_OF, FIELDS, MULTIPLIED, SINGLE

MOST_PICTURES = 1_000_000  # of one file

Values = dict[str, Any]  # by the name of the field; a list is an axis of a grid


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is written. `columns`: of a table, the number of each by its name."""

    source: str
    line: int = 0
    columns: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.source}, line {self.line}" if self.line else self.source

    def of(self, name: str) -> str:
        """Where the value of a name is written."""
        column = self.columns.get(name)
        return f"{self}, column {column}" if column else str(self)


@dataclass(frozen=True, slots=True)
class Line:
    """What one line asks for. `notes`: what is to be said of its pictures."""

    place: Place
    values: Values
    notes: tuple[str, ...] = ()


def merged(defaults: Values, values: Values) -> Values:
    """The values, and the defaults of what they leave open, which come first."""
    if not defaults:
        return values
    return {name: each for name, each in defaults.items() if name not in values} | values


def checked(given: Mapping[str, Any], place: Place) -> Values:
    """JSON values by any tool's names to what a `Request` takes, by our own. None is not given.

    Raises UsageError for an unknown name, two names of one field, and a value that is not what its
    field must be.
    """
    values: Values = {}
    for name, value in given.items():
        known = FIELD_OF.get(name)
        if known is None:
            _refuse_name(name, place)
        if known in values:
            if not _multiplied(known, given):
                _refuse_twice(known, given, place)
            times = 1 if value is None else _value(known, name, value, place)
            values[known] = _value(known, name, times * (values[known] or 1), place)
        elif value is None:
            values[known] = None
        elif isinstance(value, list) and _is_axis(known, value):
            values[known] = _axis(known, name, value, place)
        else:
            values[known] = _value(known, name, value, place)
    if None not in given.values():
        return values
    return {name: value for name, value in values.items() if value is not None}


def checked_defaults(given: Mapping[str, Any], place: Place) -> Values:
    """Like `checked`, of what several jobs share. Raises UsageError for an id too."""
    if "id" in given:
        raise UsageError(
            f"{place}: defaults cannot hold an id.", hint="Every job has an id of its own."
        )
    return checked(given, place)


def _value(known: str, name: str, value: object, place: Place, nth: int = 0) -> Any:  # noqa: ANN401 (a field's own type)
    """A value as its field takes it; `nth`: which of a list it is."""
    kind = FIELDS[known]
    try:
        return kind.read(value)
    except UsageError as error:
        what = f"{_named(name, place, nth)}: {error.what}"
        raise UsageError(what, note=error.note, hint=error.hint) from error
    except ValueError as error:
        reason = f": {error}" if error.args else ""
        raise UsageError(
            f"{_named(name, place, nth)} must be {kind.description}.",
            note=f"It is {_shown(value)}{reason}.",
            hint=_HINTS.get(known, "Leave the field out to get the usual value."),
        ) from error


def _named(name: str, place: Place, nth: int) -> str:
    return f"{place.of(name)}: {f'value {nth} of ' if nth else ''}field {name!r}"


_HINTS = {"prompt": "", "id": "Use letters, digits, dashes and underscores."}


def _multiplied(known: str, given: Mapping[str, Any]) -> bool:
    """Whether two names of one field are no contradiction."""
    names = {name for name in given if FIELD_OF.get(name) == known}
    return names == MULTIPLIED


def _is_axis(known: str, value: list[object]) -> bool:
    """A list is, but for fields of which one value may be a list: of those one that holds lists."""
    return FIELDS[known].several is None or any(isinstance(each, list) for each in value)


def _axis(known: str, name: str, values: list[object], place: Place) -> list[Any]:
    """The values of a list. Raises UsageError for a list that is no axis."""
    if known in SINGLE:
        fault = "cannot be a list"
    elif not values:
        fault = "is an empty list"
    elif len(values) > MOST_PICTURES:
        fault = f"is a list of {len(values):,} values, more than pictures can be asked for"
    else:
        if FIELDS[known].several is not None and not all(isinstance(each, list) for each in values):
            fault = "is a list of lists and of others"
        else:
            return [
                None
                if value is None and known != "prompt"  # the usual value
                else _value(known, name, value, place, nth)
                for nth, value in enumerate(values, 1)
            ]
    raise UsageError(
        f"{place.of(name)}: field {name!r} {fault}.",
        note="A list asks for a picture with each of its values.",
        hint=f"Give {FIELDS[known].description}.",
    )


def _refuse_name(name: str, place: Place) -> NoReturn:
    near = get_close_matches(name[:80], FIELD_OF, n=1)
    raise UsageError(
        f"{place.of(name)}: there is no field {name[:80]!r}.",
        note=f"Known fields: {', '.join(FIELDS)}.",
        hint=f"Did you mean {near[0]!r}?" if near else "",
    )


def _refuse_twice(known: str, given: Mapping[str, Any], place: Place) -> NoReturn:
    names = " and ".join(repr(name) for name in given if FIELD_OF.get(name) == known)
    raise UsageError(
        f"{place}: field {known!r} is given twice.",
        note=f"{names} are names of the same.",
        hint="Keep one of them.",
    )


def _shown(value: object) -> str:
    """A value as it was written, cut where it is long."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    text = json.dumps(value[:80] if isinstance(value, str) else value)
    return text if len(text) <= 80 else f"{text[:77]}..."
