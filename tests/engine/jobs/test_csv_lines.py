"""Tables of jobs: quoting, types, and errors that name line and column."""

import csv
import io
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sakuga.engine.errors import UsageError
from sakuga.engine.jobs.csv_lines import DELIMITERS
from sakuga.engine.jobs.job import Job
from sakuga.engine.jobs.jobfile import parse_jobs
from sakuga.engine.runtime.request import Request
from sakuga.profiles.buckets import Size


def jobs_of(*rows: str) -> list[Job]:
    return parse_jobs("\r\n".join(rows), "jobs.csv")


def error_of(*rows: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        jobs_of(*rows)
    assert caught.value.exit_code == 2
    return caught.value


def test_all_types() -> None:
    header = "id,prompt,steps,cfg,seed,pad_conds,seed_resize,variation_strength,ensd,sampler_name"
    (job,) = jobs_of(header, "x,1girl, 28 ,5.5,-1,TRUE,512x768,1e-1,-5,Euler a")
    request = Request("1girl", steps=28, guidance=5.5, pad_conds=True, ensd=-5, sampler="Euler a",
                      seed_resize=Size(512, 768), variation_strength=0.1)  # fmt: skip
    assert job == Job("x", request, "jobs.csv", 2, index=1)


def test_quotes_and_lines_in_cells() -> None:
    jobs = jobs_of("prompt,seed", '"1girl, ""solo""",1', '"two\nlines",2', "x,3")
    assert [job.request.prompt for job in jobs] == ['1girl, "solo"', "two\nlines", "x"]
    assert [job.line for job in jobs] == [2, 3, 5]


def test_empty_cells_are_not_given() -> None:
    jobs = jobs_of(" prompt , negative_prompt,seed,steps", "a,,1,", ",,,", "", "b,x,, ")
    assert [job.request for job in jobs] == [Request("a", seed=1), Request("b", "x")]
    assert [job.id for job in jobs] == ["00001", "00002"]


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_delimiters(delimiter: str) -> None:
    (job,) = jobs_of(f"prompt{delimiter}cfg", f'"a,b;c\td"{delimiter}7')
    assert job.request == Request("a,b;c\td", guidance=7)


def test_one_column_and_a_byte_order_mark() -> None:
    prompts = ["a; b", "1girl, solo", "a\tb", 'c "d"', ",", "e,\nf"]
    jobs = jobs_of("prompt", "a; b", "1girl, solo", "a\tb", '"c ""d"""', ",", '"e,\nf"')
    assert [job.request.prompt for job in jobs] == prompts
    text = "\ufeffprompt\na".encode().decode("utf-8-sig")
    assert parse_jobs(text, "a.csv")[0].request.prompt == "a"


@pytest.mark.parametrize(
    ("rows", "what", "more"),
    [
        (["prompt,steps", "a,9", "b,x"], "line 3, column 2: field 'steps' must be", 'It is "x".'),
        (["prompt,cfg", "a,7..5"], "line 2, column 2: field 'cfg' must be a number", '"7..5"'),
        (["prompt;cfg", "a;7,5"], "line 2, column 2: field 'cfg' must be a number", '"7,5"'),
        (["prompt,cfg", "a,nan"], "line 2, column 2: field 'cfg' must be a number", '"nan"'),
        (["prompt,steps", "a,1_0"], "line 2, column 2: field 'steps'", '"1_0"'),
        (["prompt,steps", "a,٣"], "line 2, column 2: field 'steps'", "It is"),
        (["prompt,steps", "a," + "9" * 5000], "line 2, column 2: field 'steps'", "It is"),
        (["prompt,pad_conds", "a,yes"], "line 2, column 2: field 'pad_conds'", '"yes"'),
        (["prompt,sampler", "a,Eulr"], "line 2, column 2: field 'sampler': There is no", "Euler"),
        (["prompt,id", "a,../x"], "line 2, column 2: field 'id' must be usable", "holds '/'"),
        (["prompt,id", "a,x", "b,x"], "lines 2 and 3 have the same id 'x'", "id of its own"),
        (["seed,prompt", "1,"], "line 2: field 'prompt' is missing", "needs a prompt"),
        (["promt,seed", "a,1"], "line 1, column 1: there is no field 'promt'", "mean 'prompt'?"),
        (["prompt,prompt", "a,b"], "line 1, column 2: there are two columns 'prompt'", "Keep"),
        (["cfg,prompt,guidance", "1,a,1"], "line 1: field 'guidance' is given twice", "'cfg'"),
        (["prompt,,seed", "a,,1"], "line 1, column 2: the column has no name", "first row"),
        (["prompt,seed", "a,1,2"], "line 2: the row has 3 cells, the first row 2", "Its fields"),
        (["prompt,seed", "a"], "line 2: the row has 1 cells, the first row 2", "comma into"),
        (["prompt,seed", '"a" b,1'], "line 2: not a row", "expected after"),
        (["prompt,seed", "x,1", '"a', "b,1"], "line 3: not a row", "unexpected end"),
        (["prompt,seed", "a\0,1"], "line 2, column 1: field 'prompt'", "holds a NUL"),
        (["prompt", "a" * 140_000], "line 2: not a row", "field larger"),
        (["a" * 140_000], "line 1: not a row", "field larger"),
        (["1girl, solo", "x"], "line 1, column 1: there is no field '1girl'", "Known fields"),
    ],
)  # fmt: skip
def test_errors_name_line_and_column(rows: list[str], what: str, more: str) -> None:
    error = error_of(*rows)
    assert error.what.startswith(("jobs.csv, line ", "jobs.csv: lines "))
    assert what in error.what and more in str(error)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
ROW = st.fixed_dictionaries(
    {"prompt": TEXT.filter(str.strip)},
    optional={
        "negative_prompt": TEXT.filter(str.strip),
        "seed": st.integers(0, 2**64 - 1),
        "steps": st.integers(1, 1000),
        "guidance": st.floats(0, 100) | st.integers(0, 100),
        "pad_conds": st.booleans(),
    },
)


@given(st.lists(ROW, min_size=1, max_size=4), st.sampled_from(DELIMITERS))
def test_what_a_spreadsheet_writes_is_read(rows: list[dict[str, Any]], delimiter: str) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, names, delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    jobs = parse_jobs(file.getvalue(), "a.csv")
    assert [job.request for job in jobs] == [Request(**row) for row in rows]


@given(st.text(alphabet='prom t,;\t"\r\n\0x', max_size=40))
def test_any_text_gives_jobs_or_a_clear_error(text: str) -> None:
    assume(text.strip())
    try:
        assert parse_jobs(f"prompt{text}", "a.csv")
    except UsageError as error:
        assert error.what.startswith("a.csv")
