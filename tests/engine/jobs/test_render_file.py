"""`sakuga render --jobs` as people use it: stopped, gone on with, looked at."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from sakuga.__main__ import main
from sakuga.engine.bundle import Bundle
from sakuga.engine.errors import RenderError
from sakuga.engine.jobs.outcome import Task, Written
from sakuga.engine.jobs.writer import Writer
from sakuga.engine.runtime.picture import Picture

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
    path = folder / "my jobs.jsonl"
    lines = (LINE | {"id": f"p{i:03d}", "seed": i} for i in range(jobs))
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM]
)
def test_stopped_by_a_signal(
    run: Run, sd15_bundle: Bundle, tmp_path: Path, number: signal.Signals
) -> None:
    jobs, out = job_file(tmp_path, 500), tmp_path / "out"
    command = ["render", sd15_bundle.path, "--jobs", jobs, "--out", out, "--threads", 1]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "sakuga", *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(3)]
    looked = json.loads(run("render", "--status", out, "--json").out)
    assert looked["running"] and looked["jobs"] == 500 and looked["done"] >= 3
    busy = run(*command)
    assert busy.code == 1 and "Another process renders into" in busy.err
    process.send_signal(number)
    rest, complaints = process.communicate(timeout=60)
    said += rest.splitlines()
    assert process.returncode == 75
    assert f"Note: {len(said)} of 500 pictures are done, and whole." in complaints
    assert "Hint: The same command goes on behind them." in complaints
    assert "Stopping: what has begun is finished." in complaints
    assert (out / "gallery.html").is_file() and not (out / "contact-sheet.png").exists()
    shown = run("render", "--status", out).out
    assert f"{len(said)} of 500 done, 0 failed, {500 - len(said)} queued" in shown
    assert "the last process ended 0:0" in shown and ": Stopped as asked.\n" in shown
    assert f"Next: sakuga render {sd15_bundle.path} --jobs '{jobs}' --out {out}" in shown


def test_what_failed_can_be_tried_again(
    run: Run, sd15_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, out = job_file(tmp_path, 3), tmp_path / "out"
    command = ["render", sd15_bundle.path, "--jobs", jobs, "--out", out, "--threads", 1]
    write = Writer.write

    def spoiled(writer: Writer, task: Task, picture: Picture) -> Written:
        if task.job.id == "p001":
            raise RenderError("The network unet gave NaN.", note="It computes in float16.")
        return write(writer, task, picture)

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "write", spoiled)
        done = run(*command)
    assert done.code == 1 and done.out.splitlines() == [str(out / f"p{i:03d}.png") for i in (0, 2)]
    assert "p001 failed: The network unet gave NaN. It computes in float16.\n" in done.err
    assert "2 of 3 pictures are done; 2 made in 0:00:" in done.err
    assert "Error: 1 of 3 pictures could not be made.\nNote: Line 2 (p001): The net" in done.err
    again = run(*command)
    assert again.code == 1 and again.out == "" and "--retry-failed" in again.err
    status = run("render", "--status", out)
    assert status.code == 0 and "failed: line 2 (p001): The network unet gave NaN." in status.out
    assert status.out.rstrip().endswith("--threads 1 --retry-failed")
    tried = run(*command, "--retry-failed", "--shards", "webdataset", "--json")
    assert tried.code == 0 and json.loads(tried.out)["id"] == "p001"
    assert "3 of 3 pictures are done; 2 of them were before; 1 made in" in tried.err
    assert f"Shard: {out / 'shards' / '00000.tar'}\n" in tried.err
    assert "Next:" not in run("render", "--status", out).out


@pytest.mark.slow
def test_changed_settings(run: Run, sd15_bundle: Bundle, tmp_path: Path) -> None:
    jobs, out = job_file(tmp_path, 2), tmp_path / "out"
    command = ["render", sd15_bundle.path, "--jobs", jobs, "--out", out, "--threads", 1]
    assert run(*command).code == 0
    jobs.write_text(jobs.read_text().replace('"seed": 1}', '"seed": 9}'))
    refused = run(*command)
    assert refused.code == 2 and refused.out == ""
    assert f"Error: {jobs}, line 2 (p001): the settings of a picture that is" in refused.err
    assert "Note: seed: 1 then, 9 now." in refused.err and "--changed redo" in refused.err
    redone = run(*command, "--changed", "redo")
    assert redone.code == 0 and redone.out == f"{out / 'p001.png'}\n"
    assert "Rendered again, though their settings have changed: p001." in redone.err


def test_folders_that_cannot_be_used(run: Run, sd15_bundle: Bundle, tmp_path: Path) -> None:
    jobs, file = job_file(tmp_path, 1), tmp_path / "file"
    file.write_text("mine")
    for out in (file, file / "below"):
        done = run("render", sd15_bundle.path, "--jobs", jobs, "--out", out)
        assert done.code == 1 and f"Nothing can be written into {out}" in done.err
    assert file.read_text() == "mine"
    for folder in (tmp_path, tmp_path / "none"):
        status = run("render", "--status", folder)
        assert status.code == 2 and f"There is no ledger in {folder}." in status.err
    (tmp_path / "out" / ".sakuga").mkdir(parents=True)
    ledger = tmp_path / "out" / ".sakuga" / "ledger.sqlite"
    ledger.write_bytes(b"no database, but long enough to be taken for one" * 100)
    look = ["--status", tmp_path / "out"]
    for command in (look, [sd15_bundle.path, "--jobs", jobs, "--out", look[1]]):
        done = run("render", *command)
        assert done.code == 1 and f"The ledger {ledger} is damaged." in done.err


@pytest.mark.parametrize("option", [["--retry-failed"], ["--changed", "redo"], ["--verify"]])
def test_options_of_job_files_alone(
    run: Run, sd15_bundle: Bundle, tmp_path: Path, option: list[str]
) -> None:
    done = run("render", sd15_bundle.path, "1girl", "--out", tmp_path, *option)
    assert done.code == 2 and f"{option[0]} can do nothing without --jobs" in done.err


def test_what_is_missing_is_named(run: Run, sd15_bundle: Bundle) -> None:
    assert "BUNDLE is missing" in run("render").err
    done = run("render", sd15_bundle.path, "1girl")
    assert done.code == 2 and "--out is missing" in done.err
