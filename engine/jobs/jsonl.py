"""Job files of JSON: an object a line, which is a job, or defaults for those behind it."""

import json
from collections.abc import Iterator
from typing import Any

from sakuga.engine.errors import UsageError
from sakuga.engine.jobs.line import Line, Place, Values, checked, checked_defaults, merged
from sakuga.engine.jobs.text_file import numbered_lines

DEFAULTS = "defaults"

_HINT = 'A line is one JSON object, such as {"prompt": "1girl", "seed": 42}.'


def read_jsonl(text: str, source: str) -> Iterator[Line]:
    """The jobs of a JSONL text. `{"defaults": {…}}` fills in what later lines leave open, until the
    next such line takes its place.

    Raises UsageError that names line and field.
    """
    defaults: Values = {}
    for number, line in numbered_lines(text, source):
        place = Place(source, number)
        values = _object(line, place)
        if DEFAULTS in values:
            defaults = _defaults(values, place)
        else:
            yield Line(place, merged(defaults, checked(values, place)))


def _defaults(values: Values, place: Place) -> Values:
    given = values[DEFAULTS]
    if len(values) > 1 or not isinstance(given, dict):
        raise UsageError(
            f"{place}: defaults stand in a line of their own.",
            hint='Write {"defaults": {"steps": 28, "guidance": 5}}.',
        )
    return checked_defaults(given, place)


def _object(line: str, place: Place) -> dict[str, Any]:
    try:
        value = _DECODER.decode(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{place}: not valid JSON.", note=_reason(error), hint=_HINT) from error
    if not isinstance(value, dict):
        raise UsageError(
            f"{place}: not a JSON object.", note=f"It is a {type(value).__name__}.", hint=_HINT
        )
    return value


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}."
    return f"{error}."


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"field {twice[:80]!r} is given twice")
    return values


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
