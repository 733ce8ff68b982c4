"""The published schema: that it is current, and that it and the reader agree."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import sakuga.engine
from sakuga.engine.errors import UsageError
from sakuga.engine.jobs.fields import FIELD_OF, FIELDS
from sakuga.engine.jobs.jobfile import parse_jobs
from sakuga.engine.jobs.schema import line_schema, schema_text
from sakuga.engine.text.tokenizer import MAX_CHARACTERS

ROOT = Path(sakuga.engine.__path__[0]).resolve().parent
VALIDATOR = Draft202012Validator(line_schema())

# Of names that the reader alone knows, right ones; of all else, what lies about the limits.
NAMES = {
    "sampler": ["Euler a", "dpmpp_2m"],
    "schedule": ["Karras", "Automatic"],
    "rng": ["NV", "cpu"],
    "emphasis": ["No norm", "none"],
    "id": ["x", "asuka-1"],
    "guidance_interval": ["0.2-0.8", "0-1"],
    "init": ["a.png", "in/b.png"],
    "mask": ["m.png"],
    "hires": ["2", "1.5:dat_x2:0.45", "128x192:latent:0.5:20:guidance=6"],
    "detail": ["face", "face:0.5:prompt=a, b", ":0.5"],
    "upscale": ["dat_x2", "dat_x2:2"],
}
STAGES: list[Any] = [
    {}, {"scale": 2}, {"scale": 9}, {"scale": True}, {"size": "1x1"}, {"strength": None},
    {"upscaler": "a"}, {"upscaler": None}, {"upscaler": "a", "scale": 1}, {"classes": ["a"]},
    {"classes": "a, b"}, {"classes": [1]}, {"only_masked": "true"}, {"model": ""}, {"steps": 1.0},
    {"merge": "merge"}, {"merge": "Merge"}, ["face"], [{}], [5], [None], [[]], [["face"], []],
    [["face"], "face"], "", " ", "face:0.5:0.5", "x:2", "15", "2:x:", ["face"] * 15, ["face"] * 16,
]  # fmt: skip
ODD: list[Any] = [
    None, True, False, -1, 0, 1, 28, 28.0, 0.5, -0.0, 1000, 1001, 9999, 10000, 2**31 - 1, 2**31,
    2**53, 2**53 + 2, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 1e19, 1e300, -5.5, "", "a",
    "28", "a1111", "A1111", "diffusers", "preset", "none", "832x1216", "x1", "123456x1", "1x1 ",
    "crop", "noise", "masked", "a\0", "\ud800", "x" * 201, {}, {"a": 1}, [],
]  # fmt: skip
NAME = st.sampled_from([*FIELD_OF, *FIELD_OF, "promt", "defaults", "Seed", ""])


@st.composite
def fields(draw: st.DrawFn) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in draw(st.lists(NAME, max_size=5, unique=True)):
        known = FIELD_OF.get(name, "")
        if known in NAMES:
            values = st.sampled_from([*NAMES[known], None, 5, True, "x" * 201, {}])
        else:
            values = st.sampled_from(ODD) | st.integers() | st.floats(allow_nan=False)
        found[name] = draw(values | st.lists(values, max_size=2))
    return found


LINES = fields() | st.builds(lambda inside: {"defaults": inside}, fields()) | st.sampled_from(ODD)


AMONG_FIELDS = ("the seeds of", "count of variations", "needs a picture", "needs a mask")


def read(line: object) -> bool:
    """Whether the reader takes a line."""
    try:
        parse_jobs(
            f'{json.dumps(line)}\n{{"prompt": "last", "seed": 1}}',
            "jobs.jsonl",
            defaults={"prompt": "a", "seed": 1},
        )
    except UsageError as error:
        # A schema does not compare the values of fields with each other.
        return any(words in error.what for words in AMONG_FIELDS)
    return True


def test_the_published_schema_is_current() -> None:
    published = (ROOT / "docs" / "jobs.schema.json").read_text(encoding="utf-8")
    assert published == schema_text()


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(line_schema())


@given(LINES)
@settings(max_examples=400, deadline=None)
def test_schema_and_reader_agree(line: dict[str, Any]) -> None:
    assert VALIDATOR.is_valid(line) == read(line)


@pytest.mark.parametrize("name", FIELDS)
def test_both_see_every_limit(name: str) -> None:
    """Each field with each odd value, so that the agreement is not a matter of luck."""
    values = [each for each in ODD if not (name in NAMES and isinstance(each, str))]
    taken = 0
    for value in (*NAMES.get(name, ()), *values):
        for line in ({name: value}, {name: [value]}, {"defaults": {name: value}}):
            assert VALIDATOR.is_valid(line) == read(line), line
            taken += VALIDATOR.is_valid(line)
    assert taken >= 3


@pytest.mark.parametrize("name", ["hires", "detail", "upscale"])
def test_both_see_what_stages_may_say(name: str) -> None:
    for value in STAGES:
        for line in ({name: value}, {name: [value]}):
            words = '"' in json.dumps(value) and not isinstance(value, dict)
            # A pattern says less of words than their reader, and never refuses what that takes.
            agree = VALIDATOR.is_valid(line) or not read(line)
            assert agree if words else VALIDATOR.is_valid(line) == read(line), line


@pytest.mark.parametrize("name", ["prompt", "negative_prompt"])
def test_both_see_long_texts(name: str) -> None:
    for length, taken in ((MAX_CHARACTERS, True), (MAX_CHARACTERS + 1, False)):
        line = {name: "x" * length}
        assert VALIDATOR.is_valid(line) == read(line) == taken


def test_two_names_of_one_field() -> None:
    for line in ({"cfg": 1, "guidance": 1}, {"defaults": {"n_iter": None, "count": 1}}):
        assert not VALIDATOR.is_valid(line) and not read(line)
    both = {"defaults": {"n_iter": 2, "batch_size": 3}}  # which A1111 multiplies
    assert VALIDATOR.is_valid(both) and read(both)
