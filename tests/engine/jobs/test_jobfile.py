"""Job files as wholes: which format they are in, their ids, their bytes."""

from importlib.resources import files
from pathlib import Path

import pytest

from sakuga.engine.errors import UsageError
from sakuga.engine.jobs.job import Job
from sakuga.engine.jobs.jobfile import parse_jobs, read_jobs
from sakuga.engine.jobs.line import MOST_PICTURES
from sakuga.engine.jobs.text_file import LONGEST_LINE
from sakuga.engine.text.tokenizer import clip_tokenizer
from sakuga.profiles.buckets import QUARTER_BUCKETS, Size


def error_of(*lines: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        parse_jobs("\n".join(lines), "jobs.jsonl")
    assert caught.value.exit_code == 2
    return caught.value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.jsonl", '{"prompt": "1girl, solo", "cfg": 5}'),
        ("a.JSON", '{"prompt": "1girl, solo", "cfg": 5}'),
        ("a.ndjson", '{"prompt": "1girl, solo", "cfg": 5}'),
        ("a", '\n { "prompt": "1girl, solo", "cfg": 5}'),
        ("a.txt", '{"prompt": "1girl, solo", "cfg": 5}'),
        ("a.txt", '--prompt "1girl, solo" --cfg_scale 5'),
        ("a.csv", 'prompt,cfg\n"1girl, solo",5'),
        ("a.CSV", 'cfg;prompt\n5;"1girl, solo"'),
        ("a.tsv", "prompt\tcfg\n1girl, solo\t5"),
    ],
)
def test_the_format_is_found(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    (job,) = read_jobs(tmp_path / name)
    assert (job.id, job.index, job.source) == ("00001", 1, str(tmp_path / name))
    assert (job.request.prompt, job.request.guidance) == ("1girl, solo", 5)


def test_braces_of_a_prompt_are_no_json() -> None:
    (job,) = parse_jobs("{{masterpiece}}, 1girl", "a.txt")
    assert job.request.prompt == "{{masterpiece}}, 1girl"


def test_a_format_nobody_can_know() -> None:
    with pytest.raises(UsageError, match=r"a\.jobs: it is not clear how to read"):
        parse_jobs("1girl", "a.jobs")


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.txt"])
@pytest.mark.parametrize("text", ["", "\n \r\n"])
def test_no_jobs(name: str, text: str) -> None:
    with pytest.raises(UsageError, match=f"{name} holds no jobs"):
        parse_jobs(text, name)


def test_defaults_alone_are_no_jobs() -> None:
    assert "holds no jobs" in error_of('{"defaults": {"prompt": "a"}}').what


def test_defaults_serve_every_format() -> None:
    for name, text in (("a.csv", "seed\n5"), ("a.txt", "--seed 5"), ("a.jsonl", '{"seed": 5}')):
        (job,) = parse_jobs(text, name, defaults={"prompt": "a", "num_inference_steps": 9})
        assert (job.request.prompt, job.request.steps, job.request.seed) == ("a", 9, 5)


def test_duplicate_ids_name_both_lines() -> None:
    lines = ('{"prompt": "a", "id": "x"}', '{"prompt": "b"}', '{"prompt": "c", "id": "x"}')
    assert "lines 1 and 3 have the same id 'x'" in error_of(*lines).what


def test_ids_that_differ_in_case_alone() -> None:
    error = error_of('{"prompt": "a", "id": "Asuka"}', '{"prompt": "b", "id": "asuka"}')
    assert "lines 1 and 2" in error.what
    assert "Line 1 has 'Asuka'" in error.note


def test_id_that_a_numbered_job_has() -> None:
    assert "lines 1 and 2" in error_of('{"prompt": "a", "id": "00002"}', '{"prompt": "b"}').what


def test_numbered_ids_may_be_taken_or_too_long() -> None:
    taken = '{"prompt": "b", "id": "A-0002"}'
    assert "lines 1 and 2" in error_of('{"prompt": "a", "id": "a", "count": 2}', taken).what
    error = error_of(f'{{"prompt": "a", "id": "{"x" * 198}", "count": 2}}')
    assert "field 'id' must be usable" in error.what and "203 bytes" in error.note


def test_too_many_pictures_are_refused_before_they_are_made() -> None:
    numbers = list(range(1, 1001))
    error = error_of('{"prompt": "a"}', f'{{"prompt": "a", "steps": {numbers}, "seed": {numbers}}}')
    assert f"line 2: with this line the file asks for {MOST_PICTURES + 1:,} pictures" in error.what
    assert "steps 1,000, seed 1,000, count 1" in error.note
    axes = ", ".join(f'"{name}": {numbers}' for name in ("width", "height", "steps", "cfg", "eta"))
    assert (
        "1,000,000,000,000,001 pictures"
        in error_of('{"prompt": "a"}', f'{{"prompt": "a", {axes}}}').what
    )


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "jobs.jsonl"
    with pytest.raises(UsageError, match="cannot be read"):
        read_jobs(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_jobs(tmp_path)
    path.write_bytes('\ufeff{"prompt": "緑"}'.encode())
    assert read_jobs(path)[0].request.prompt == "緑"


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_bytes_that_are_no_text(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "jobs.jsonl"
    path.write_bytes(b'{"prompt": "a"}' + end + b'{"prompt": "\xe9"}')
    with pytest.raises(UsageError, match="line 2: not UTF-8"):
        read_jobs(path)
    path.write_bytes('{"prompt": "a"}'.encode("utf-16"))
    with pytest.raises(UsageError, match="line 1: not UTF-8"):
        read_jobs(path)


def test_line_ends_of_three_kinds() -> None:
    text = '{"prompt": "a"}\r\n{"prompt": "b"}\r{"prompt": "c"}\n\n{"prompt": "d"}'
    assert [job.line for job in parse_jobs(text, "a.jsonl")] == [1, 2, 3, 5]


@pytest.mark.parametrize("reader", ["a.jsonl", "a.csv", "a.txt"])
def test_a_line_that_nobody_wrote(reader: str) -> None:
    text = "prompt\n1girl\n" if reader == "a.csv" else '{"prompt": "a"}\n\n'
    if reader == "a.txt":
        text = "1girl\n\n"
    with pytest.raises(UsageError, match=f"{reader}, line 3: the line is too long"):
        parse_jobs(text + "a" * (LONGEST_LINE + 1), reader)


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
