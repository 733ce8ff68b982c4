"""`sakuga render --shard`: several processes at one job file, each with a folder of its own."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from sakuga.__main__ import main
from sakuga.engine.bundle import Bundle

LINE = {"prompt": "1girl", "width": 128, "height": 128, "steps": 1, "guidance": 1}


class Outcome(NamedTuple):
    code: object
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """`run("render", bundle, …)`: the command line, in this process."""

    def run(*arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        found = capsys.readouterr()
        return Outcome(stopped.value.code, found.out, found.err)

    return run


def job_file(folder: Path, jobs: int) -> Path:
    path = folder / "jobs.jsonl"
    lines = (LINE | {"id": f"p{i}", "seed": i} for i in range(jobs))
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_shares_make_up_the_whole(run: Run, sd15_bundle: Bundle, tmp_path: Path) -> None:
    jobs, out = job_file(tmp_path, 3), tmp_path / "out"
    command = ["render", sd15_bundle.path, "--jobs", jobs, "--threads", 1]
    first = run(*command, "--out", out, "--shard", "1/2")
    assert first.code == 0
    assert sorted(first.out.split()) == [str(out / "1-of-2" / f"p{i}.png") for i in (0, 2)]
    half = json.loads(run("render", "--status", out, "--json").out)
    assert (half["begun"], half["shares"], half["jobs"], half["done"]) == (1, 2, 2, 2)
    run(*command, "--out", out, "--shard", "2/2")
    run(*command, "--out", tmp_path / "whole")
    shares = {path.name: path.read_bytes() for path in out.glob("*-of-2/p*.png")}
    assert shares == {path.name: path.read_bytes() for path in (tmp_path / "whole").glob("p*.png")}
    shown = run("render", "--status", out).out.splitlines()
    assert shown[-1] == (
        f"{out}: 2 of 2 shares have begun; of their 3 jobs 3 done, 0 failed, 0 queued"
    )
    assert sum("not rendering" in line for line in shown) == 2


def test_a_share_of_nothing_is_done(run: Run, sd15_bundle: Bundle, tmp_path: Path) -> None:
    jobs, out = job_file(tmp_path, 1), tmp_path / "out"
    told = run("render", sd15_bundle.path, "--jobs", jobs, "--out", out, "--shard", "2/2")
    assert told.code == 0 and "nothing in the share 2/2" in told.err
    assert not out.exists()


@pytest.mark.parametrize("options", [("--shard", "1/2"), ("--ray", "auto")])
def test_without_a_job_file_there_are_no_shares(
    run: Run, sd15_bundle: Bundle, tmp_path: Path, options: tuple[str, str]
) -> None:
    told = run("render", sd15_bundle.path, "1girl", "--out", tmp_path / "out", *options)
    assert told.code == 2 and f"{options[0]} can do nothing without --jobs" in told.err


def test_which_shares_there_are(run: Run, sd15_bundle: Bundle, tmp_path: Path) -> None:
    jobs = job_file(tmp_path, 1)
    told = run("render", sd15_bundle.path, "--jobs", jobs, "--out", tmp_path, "--shard", "0/2")
    assert told.code == 2 and "There is no share 0 of 2" in told.err


@pytest.mark.parametrize(
    ("first", "second"),
    [((), ("--shard", "1/2")), (("--shard", "1/2"), ()), (("--shard", "2/3"), ("--shard", "1/2"))],
)
def test_a_folder_takes_one_division_of_its_jobs(
    run: Run, sd15_bundle: Bundle, tmp_path: Path, first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    """Else the pictures of both are made, and `--status` tells of one."""
    jobs, out = job_file(tmp_path, 3), tmp_path / "out"
    command = ["render", sd15_bundle.path, "--jobs", jobs, "--threads", 1, "--out", out]
    assert run(*command, *first).code == 0
    before = sorted(out.rglob("*.png"))
    told = run(*command, *second)
    assert told.code == 1 and f"{out} holds" in told.err and "another folder" in told.err
    assert sorted(out.rglob("*.png")) == before
    assert run(*command, *first).code == 0  # and its own goes on


def test_the_rate_counts_from_the_start(run: Run, sd15_bundle: Bundle, tmp_path: Path) -> None:
    """Where all are finished at once there is no time between them."""
    jobs, out = job_file(tmp_path, 2), tmp_path / "out"
    begun = time.time()
    run("render", sd15_bundle.path, "--jobs", jobs, "--threads", 1, "--out", out)
    told = json.loads(run("render", "--status", out, "--json").out)
    assert 2 / (time.time() - begun) <= told["pictures_per_second"] <= 2 / 0.05
