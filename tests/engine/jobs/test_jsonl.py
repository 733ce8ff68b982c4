"""Job files of JSON: what they give, and what their errors say."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.errors import UsageError
from sakuga.engine.jobs.fields import ALIASES, FIELDS
from sakuga.engine.jobs.job import Job
from sakuga.engine.jobs.jobfile import parse_jobs
from sakuga.engine.jobs.stage_fields import STAGE_FIELDS
from sakuga.engine.runtime.request import Request
from sakuga.engine.text.tokenizer import MAX_CHARACTERS
from sakuga.profiles.buckets import Size


def error_of(*lines: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        parse_jobs("\n".join(lines), "jobs.jsonl")
    assert caught.value.exit_code == 2
    return caught.value


def request_of(**fields: object) -> Request:
    (job,) = parse_jobs(json.dumps({"prompt": "a"} | fields), "jobs.jsonl")
    return job.request


def test_all_fields() -> None:
    fields: dict[str, Any] = {
        "prompt": "1girl, \u2028 緑",
        "negative_prompt": "",
        "width": 832,
        "height": 1216,
        "steps": 28,
        "guidance": 7,
        "guidance_interval": "0.25-1",
        "sampler": "Euler a",
        "seed": 2**64 - 1,
        "id": "asuka",
        "compat": "diffusers",
        "clip_skip": 2,
        "schedule": "Trailing",
        "eta": 1,
        "s_noise": 1.02,
        "emphasis": "No norm",
        "pad_conds": True,
        "prefix": "none",
        "rng": "CPU",
        "variation_seed": 5,
        "variation_strength": 0.25,
        "seed_resize": "512x768",
        "ensd": -31337,
        "count": 1,
    }
    assert set(fields) == set(FIELDS) - set(STAGE_FIELDS)
    (job,) = parse_jobs(json.dumps(fields, ensure_ascii=False), "jobs.jsonl")
    del fields["count"]
    fields["seed_resize"], fields["guidance_interval"] = Size(512, 768), (0.25, 1.0)
    assert job == Job(fields.pop("id"), Request(**fields), "jobs.jsonl", 1, index=1)


def test_only_a_prompt_is_needed() -> None:
    (job,) = parse_jobs('{"prompt": "", "negative_prompt": null}', "jobs.jsonl")
    assert job == Job("00001", Request(""), "jobs.jsonl", 1, index=1)


def test_blank_lines_and_line_ends() -> None:
    jobs = parse_jobs('\n{"prompt": "a"}\r\n  \r\n\n{"prompt": "b"}', "jobs.jsonl")
    assert [(job.line, job.id, job.request.prompt) for job in jobs] == [
        (2, "00001", "a"),
        (5, "00002", "b"),
    ]


@pytest.mark.parametrize(
    ("line", "what", "more"),
    [
        ('{"prompt": "a", "promt": 1}', "there is no field 'promt'", "mean 'prompt'?"),
        ('{"prompt": "a", "Cfg": 1}', "no field 'Cfg'", "Known fields: prompt"),
        ('{"prompt": "a", "sampler_nam": "x"}', "no field 'sampler_nam'", "mean 'sampler_name'?"),
        ('{"prompt": "a", "cfg": "x"}', "field 'cfg' must be a number", 'It is "x".'),
        ('{"prompt": "a", "cfg": 1, "guidance": 1}', "'guidance' is given twice", "'cfg' and"),
        ('{"prompt": "a", "n_iter": null, "count": 1}', "'count' is given twice", "Keep one"),
        ('{"prompt": "a", "steps": 0}', "field 'steps' must be a whole number from 1", "It is 0."),
        ('{"prompt": "a", "steps": 28.5}', "field 'steps'", "It is 28.5."),
        ('{"prompt": "a", "steps": true}', "field 'steps'", "It is true."),
        ('{"prompt": "a", "steps": 1001}', "field 'steps'", "It is 1001."),
        ('{"prompt": "a", "width": "832"}', "field 'width'", 'It is "832".'),
        ('{"prompt": "a", "height": -8}', "field 'height'", "It is -8."),
        ('{"prompt": "a", "guidance": "7"}', "field 'guidance' must be a number", 'It is "7".'),
        ('{"prompt": "a", "guidance": NaN}', "not valid JSON", "NaN is not a JSON number"),
        ('{"prompt": "a", "guidance": 1e999}', "field 'guidance'", "It is Infinity."),
        ('{"prompt": "a", "seed": -2}', "field 'seed'", "It is -2."),
        ('{"prompt": "a", "seed": 18446744073709551616}', "field 'seed'", "It is 184467"),
        ('{"prompt": "a", "sampler": "Eulr a"}', "field 'sampler'", "Did you mean 'Euler a'?"),
        ('{"prompt": "a", "schedule": "karas"}', "field 'schedule'", "Did you mean 'Karras'?"),
        ('{"prompt": "a", "eta": -1}', "field 'eta' must be a number from 0", "It is -1."),
        ('{"prompt": "a", "s_noise": "1"}', "field 's_noise' must be a number", 'It is "1".'),
        ('{"prompt": "a", "rng": "GPU"}', "field 'rng'", "those of NV"),
        ('{"prompt": "a", "count": 0}', "field 'count' must be a whole number from 1", "It is 0."),
        ('{"prompt": "a", "variation_strength": 1.1}', "a number from 0 to 1", "It is 1.1."),
        ('{"prompt": "a", "seed_resize": "512"}', "field 'seed_resize'", '"832x1216"'),
        ('{"prompt": "a", "ensd": 0.5}', "field 'ensd' must be a whole number", "It is 0.5."),
        ('{"prompt": "a", "compat": "webui"}', "field 'compat'", "a1111, comfy, diffusers"),
        ('{"prompt": "a", "id": "Contact-Sheet"}', "field 'id'", "the contact sheet has that"),
        ('{"prompt": "a", "id": "../x"}', "field 'id' must be usable as a file", "holds '/'"),
        ('{"prompt": "a", "id": 7}', "field 'id' must be usable as a file name", "It is 7."),
        ('{"prompt": {"a": 1}}', "field 'prompt' must be valid Unicode text", "It is an object."),
        ('{"prompt": "\\ud83d"}', "field 'prompt' must be", 'It is "\\ud83d": it holds the lone'),
        ('{"prompt": "a\\u0000"}', "field 'prompt' must be", "it holds a NUL."),
        ('{"prompt": "a\0"}', "not valid JSON", "Invalid control character"),
        ('{"prompt": "a", "pad_conds": 1}', "field 'pad_conds' must be true or false", "It is 1."),
        ('{"prompt": "a", "sampler": 5}', "must be the name of a sampler", "It is 5."),
        ('{"prompt": "a", "seed": 1e300}', "field 'seed'", "It is 1e+300."),
        ('{"prompt": "a", "guidance": false}', "field 'guidance'", "It is false."),
        ('{"prompt": "a", "guidance": -Infinity}', "not valid JSON", "-Infinity is not a JSON"),
        ('{"prompt": null}', "field 'prompt' is missing", "needs a prompt"),
        ('{"seed": 1}', "field 'prompt' is missing", "needs a prompt"),
        ('{"prompt": "a", "prompt": "b"}', "not valid JSON", "'prompt' is given twice"),
        ('{"prompt": "a"', "not valid JSON", "at column 15"),
        ("1girl, solo", "not valid JSON", "at column 2"),
        ('["a"]', "not a JSON object", "It is a list."),
        ("[" * 100_000, "not valid JSON", "recursion"),
        ('{"prompt": "a", "seed": ' + "9" * 5000 + "}", "not valid JSON", "digits"),
    ],
)  # fmt: skip
def test_errors_name_line_and_field(line: str, what: str, more: str) -> None:
    error = error_of('{"prompt": "good"}', "", line)
    assert error.what.startswith("jobs.jsonl, line 3: ")
    assert what in error.what
    assert more in str(error)


@given(st.text(max_size=40))
def test_any_text_gives_jobs_or_a_clear_error(text: str) -> None:
    try:
        assert parse_jobs(text, "jobs.jsonl")
    except UsageError as error:
        assert error.what.startswith("jobs.jsonl")


def test_a_field_by_every_name() -> None:
    values = {"guidance": 5.5, "sampler": "Euler", "schedule": "Karras", "steps": 9,
              "negative_prompt": "b", "variation_seed": 3, "variation_strength": 0.5, "ensd": 2,
              "count": 1, "init": "a.png", "mask": "m.png", "strength": 0.5}  # fmt: skip
    assert set(ALIASES.values()) == values.keys()
    for alias, name in ALIASES.items():
        more: dict[str, Any] = {}
        if name == "variation_seed":
            more = {"variation_strength": 0.5}
        elif name in ("mask", "strength"):
            more = {"init": "a.png"}
        assert request_of(**{alias: values[name]}, **more) == request_of(
            **{name: values[name]}, **more
        )


def test_whole_numbers_with_a_point() -> None:
    assert request_of(steps=28.0) == request_of(steps=28)
    assert type(request_of(steps=28.0).steps) is int
    assert request_of(seed=1e19).seed == 10**19


def test_a_random_seed_is_none() -> None:
    assert request_of(seed=-1) == request_of(seed=None) == request_of()
    assert request_of(subseed=-1, subseed_strength=0.5).variation_seed is None


def test_defaults_fill_in_what_later_lines_leave_open() -> None:
    lines = (
        '{"prompt": "a"}',
        '{"defaults": {"prompt": "b", "cfg": 5, "steps": 9, "seed": 1}}',
        '{"steps": 7, "seed": null}',
        '{"prompt": "c", "seed": -1}',
        '{"defaults": {"steps": 3, "seed": [1, 2]}}',
        '{"prompt": "d"}',
    )
    jobs = parse_jobs("\n".join(lines), "jobs.jsonl")
    assert [job.id for job in jobs] == ["00001", "00002", "00003", "00004-0001", "00004-0002"]
    assert [job.request for job in jobs] == [
        Request("a"),
        Request("b", guidance=5, steps=7, seed=1),
        Request("c", guidance=5, steps=9),
        Request("d", steps=3, seed=1),
        Request("d", steps=3, seed=2),
    ]


def test_given_defaults_lie_below_those_of_the_file() -> None:
    text = '{"defaults": {"guidance": 5}}\n{"prompt": "a"}\n{"defaults": {}}\n{"prompt": "b"}'
    given = {"cfg_scale": 9, "steps": 4, "seed": None}
    jobs = parse_jobs(text, "jobs.jsonl", defaults=given)
    assert [job.request for job in jobs] == [
        Request("a", guidance=5, steps=4),
        Request("b", guidance=9, steps=4),
    ]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('{"defaults": {}, "prompt": "a"}', "stand in a line of their own"),
        ('{"defaults": 5}', "stand in a line of their own"),
        ('{"defaults": {"id": "a"}}', "defaults cannot hold an id"),
        ('{"defaults": {"stps": 5}}', "no field 'stps'"),
        ('{"defaults": {"steps": 0}}', "field 'steps'"),
        ('{"defaults": {"steps": 1, "steps": 1}}', "not valid JSON"),
    ],
)
def test_defaults_that_are_none(line: str, what: str) -> None:
    error = error_of('{"prompt": "a"}', line)
    assert error.what.startswith("jobs.jsonl, line 2: ") and what in error.what


def test_given_defaults_that_are_none() -> None:
    with pytest.raises(UsageError, match="The defaults: field 'steps' must be"):
        parse_jobs('{"prompt": "a"}', "jobs.jsonl", defaults={"steps": 0})


def test_long_lines_and_texts() -> None:
    line = json.dumps({"prompt": "a" * MAX_CHARACTERS})
    assert len(parse_jobs(line, "x.jsonl")[0].request.prompt) == MAX_CHARACTERS
    assert "it has 32,769 characters" in error_of(line.replace("a", "aa", 1)).note
    huge = '{"prompt": "' + "a" * (1 << 24)
    assert "line 2: the line is too long" in error_of('{"prompt": "a"}', huge).what
    assert len(str(error_of(json.dumps({"a" * 10**6: 1})))) < 1000
    assert len(str(error_of(json.dumps({"prompt": "a", "sampler": "x" * 10**6})))) < 1000


def test_deep_nesting() -> None:
    for line in ('{"prompt": ' + "[" * 500 + "]" * 500 + "}", '{"a":' * 90_000):
        assert error_of(line).what.startswith("jobs.jsonl, line 1: ")
