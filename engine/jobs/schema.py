"""The JSON Schema of a line of a job file, made from the table of fields.

    python -m sakuga.engine.jobs.schema > docs/jobs.schema.json

It says all that a schema can: what it refuses, the reader refuses. Beyond it the reader knows the
names of samplers and other things, which ids are file names, that a job has a prompt of its own or
of its defaults, and how many pictures a file may ask for.
"""

import json
from collections.abc import Iterable
from itertools import combinations
from typing import Any

from sakuga.engine.jobs.fields import FIELD_OF, FIELDS, MULTIPLIED, SINGLE
from sakuga.engine.jobs.jsonl import DEFAULTS
from sakuga.engine.jobs.line import MOST_PICTURES

Schema = dict[str, Any]


def line_schema() -> Schema:
    """The schema of one line: a job, or the defaults of those behind it."""
    shared = [name for name in FIELD_OF if FIELD_OF[name] != "id"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of a Sakuga job file",
        "description": "One picture, or with a list or a count several; or what jobs in the lines "
        "behind it take where they say nothing. null is the same as leaving a field out.",
        "anyOf": [
            _object(FIELD_OF),
            {
                "type": "object",
                "properties": {DEFAULTS: _object(shared)},
                "required": [DEFAULTS],
                "additionalProperties": False,
            },
        ],
        "$defs": {name: _forms(name) for name in FIELDS},
    }


def _object(names: Iterable[str]) -> Schema:
    """An object of these fields, each by one of its names."""
    names = list(names)
    twice = [
        pair
        for pair in combinations(names, 2)
        if FIELD_OF[pair[0]] == FIELD_OF[pair[1]] and {*pair} != MULTIPLIED
    ]
    return {
        "type": "object",
        "properties": {name: {"$ref": f"#/$defs/{FIELD_OF[name]}"} for name in names},
        "additionalProperties": False,
        "not": {"anyOf": [{"required": list(pair)} for pair in twice]},
    }


def _forms(name: str) -> Schema:
    """What a field may be: a value, a list of them, null."""
    kind = FIELDS[name]
    value = dict(kind.schema)
    forms: list[Schema] = [value, {"type": "null"}]
    if name not in SINGLE:
        one = value if kind.several is None else dict(kind.several)
        if kind.several is None and name != "prompt":
            one = {"anyOf": [one, {"type": "null"}]}
        forms.insert(1, {"type": "array", "items": one, "minItems": 1, "maxItems": MOST_PICTURES})
    description = f"{kind.description[0].upper()}{kind.description[1:]}."
    return {"description": description, "anyOf": forms}


def schema_text() -> str:
    """The schema as it is published."""
    return json.dumps(line_schema(), indent=1) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
