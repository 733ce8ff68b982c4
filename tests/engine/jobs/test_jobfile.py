"""Job files: what they give, and what their errors say."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.errors import UsageError
from sakuga.engine.jobs.job import Job
from sakuga.engine.jobs.jobfile import FIELDS, parse_jobs, read_jobs
from sakuga.engine.runtime.request import Request
from sakuga.engine.text.tokenizer import clip_tokenizer
from sakuga.profiles.buckets import QUARTER_BUCKETS, Size


def error_of(*lines: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        parse_jobs("\n".join(lines), "jobs.jsonl")
    assert caught.value.exit_code == 2
    return caught.value


def test_all_fields() -> None:
    fields: dict[str, Any] = {
        "prompt": "1girl, \u2028 緑",
        "negative_prompt": "",
        "width": 832,
        "height": 1216,
        "steps": 28,
        "guidance": 7,
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
    assert set(fields) == set(FIELDS)
    (job,) = parse_jobs(json.dumps(fields, ensure_ascii=False), "jobs.jsonl")
    del fields["count"]
    fields["seed_resize"] = Size(512, 768)
    assert job == Job(fields.pop("id"), Request(**fields), "jobs.jsonl", 1)


def test_only_a_prompt_is_needed() -> None:
    (job,) = parse_jobs('{"prompt": "", "negative_prompt": null}', "jobs.jsonl")
    assert job == Job("00001", Request(""), "jobs.jsonl", 1)


def test_blank_lines_and_line_ends() -> None:
    jobs = parse_jobs('\n{"prompt": "a"}\r\n  \r\n\n{"prompt": "b"}', "jobs.jsonl")
    assert [(job.line, job.id, job.request.prompt) for job in jobs] == [
        (2, "00001", "a"),
        (5, "00002", "b"),
    ]


def test_several_pictures_of_one_line() -> None:
    lines = ['{"prompt": "a", "seed": 5, "count": 3}', '{"prompt": "b", "count": 2, "id": "x"}']
    jobs = parse_jobs("\n".join(lines), "jobs.jsonl")
    assert [job.id for job in jobs] == [
        "00001-0001",
        "00001-0002",
        "00001-0003",
        "x-0001",
        "x-0002",
    ]
    assert [job.request for job in jobs[:3]] == Request("a", seed=5).times(3)
    first, second = (job.request.seed for job in jobs[3:])
    assert first is not None and second == first + 1
    assert [job.line for job in jobs] == [1, 1, 1, 2, 2]


def test_numbered_ids_may_be_taken_or_too_long() -> None:
    taken = '{"prompt": "b", "id": "A-0002"}'
    assert "lines 1 and 2" in error_of('{"prompt": "a", "id": "a", "count": 2}', taken).what
    long = json.dumps({"prompt": "a", "id": "x" * 198, "count": 2})
    assert "field 'id' must be usable" in error_of(long).what


@pytest.mark.parametrize(
    ("line", "what", "more"),
    [
        ('{"prompt": "a", "promt": 1}', "there is no field 'promt'", "mean 'prompt'?"),
        ('{"prompt": "a", "cfg_scale": 1}', "no field 'cfg_scale'", "Known fields: prompt"),
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
        ('{"prompt": "a", "scheduler": "Karras"}', "no field 'scheduler'", "mean 'schedule'?"),
        ('{"prompt": "a", "eta": -1}', "field 'eta' must be a number from 0", "It is -1."),
        ('{"prompt": "a", "s_noise": "1"}', "field 's_noise' must be a number", 'It is "1".'),
        ('{"prompt": "a", "rng": "GPU"}', "field 'rng'", "those of NV"),
        ('{"prompt": "a", "count": 0}', "field 'count' must be a whole number from 1", "It is 0."),
        ('{"prompt": "a", "n_iter": 4}', "no field 'n_iter'", "mean 'count'?"),
        ('{"prompt": "a", "subseed": 4}', "no field 'subseed'", "mean 'variation_seed'?"),
        ('{"prompt": "a", "variation_strength": 1.1}', "a number from 0 to 1", "It is 1.1."),
        ('{"prompt": "a", "seed_resize": "512"}', "field 'seed_resize'", '"832x1216"'),
        ('{"prompt": "a", "ensd": 0.5}', "field 'ensd' must be a whole number", "It is 0.5."),
        ('{"prompt": "a", "compat": "webui"}', "field 'compat'", "a1111, comfy, diffusers"),
        ('{"prompt": "a", "id": "Contact-Sheet"}', "field 'id'", "the contact sheet has that"),
        ('{"prompt": "a", "id": "../x"}', "field 'id' must be usable as a file", "holds '/'"),
        ('{"prompt": "a", "id": 7}', "field 'id' must be valid Unicode text", "It is 7."),
        ('{"prompt": ["a"]}', "field 'prompt' must be valid Unicode text", 'It is ["a"].'),
        ('{"prompt": "\\ud83d"}', "field 'prompt' must be valid Unicode", 'It is "\\ud83d".'),
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


def test_duplicate_ids_name_both_lines() -> None:
    lines = ('{"prompt": "a", "id": "x"}', '{"prompt": "b"}', '{"prompt": "c", "id": "x"}')
    assert "lines 1 and 3 have the same id 'x'" in error_of(*lines).what


def test_ids_that_differ_in_case_alone() -> None:
    error = error_of('{"prompt": "a", "id": "Asuka"}', '{"prompt": "b", "id": "asuka"}')
    assert "lines 1 and 2" in error.what
    assert "Line 1 has 'Asuka'" in error.note


def test_id_that_a_numbered_job_has() -> None:
    assert "lines 1 and 2" in error_of('{"prompt": "a", "id": "00002"}', '{"prompt": "b"}').what


@pytest.mark.parametrize("text", ["", "\n \r\n"])
def test_no_jobs(text: str) -> None:
    assert "holds no jobs" in error_of(text).what


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "jobs.jsonl"
    with pytest.raises(UsageError, match="cannot be read"):
        read_jobs(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_jobs(tmp_path)
    path.write_bytes('\ufeff{"prompt": "緑"}'.encode())
    assert read_jobs(path)[0].request.prompt == "緑"
    path.write_bytes(b'{"prompt": "a"}\n{"prompt": "\xe9"}')
    with pytest.raises(UsageError, match="line 2: not UTF-8"):
        read_jobs(path)


@given(st.text(max_size=40))
def test_any_text_gives_jobs_or_a_clear_error(text: str) -> None:
    try:
        assert parse_jobs(text, "jobs.jsonl")
    except UsageError as error:
        assert error.what.startswith("jobs.jsonl")


def shipped_jobs(name: str) -> list[Job]:
    path = files("sakuga.export") / "demo" / name
    return parse_jobs(path.read_text(encoding="utf-8"), "demo")


SHIPPED = pytest.mark.parametrize("name", ["jobs.jsonl", "cards.jsonl"])


@SHIPPED
def test_shipped_jobs_cover_the_nine_quarter_sizes(name: str) -> None:
    sizes = {Size(job.request.width or 0, job.request.height or 0) for job in shipped_jobs(name)}
    assert sizes == set(QUARTER_BUCKETS)


@SHIPPED
def test_shipped_jobs_stand_on_their_own(name: str) -> None:
    jobs = shipped_jobs(name)
    assert 9 <= len(jobs) <= 12
    assert len({job.request.seed for job in jobs}) == len(jobs)
    assert {job.request.steps for job in jobs} <= {25, 28}
    tokenizer = clip_tokenizer()
    for job in jobs:
        assert not job.id.isdigit()
        assert job.request.guidance is not None and 4 <= job.request.guidance <= 9
        assert len(tokenizer.encode(job.request.prompt)) <= 75
