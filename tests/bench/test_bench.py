"""The benches run from anywhere and end in one line of JSON; their figures are not judged here."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import sakuga.export
from sakuga.engine.runtime.policy import POLICIES

BENCH = Path(sakuga.export.__file__).resolve().parent.parent / "bench"
FIGURE = {"what", "value", "unit", "bar", "sense", "beside", "met"}


def run(tmp_path: Path, script: str, *arguments: str) -> tuple[list[str], dict[str, Any]]:
    """The lines a bench prints before the last, and the last one read as JSON."""
    command = [sys.executable, str(BENCH / script), *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    *lines, last = done.stdout.splitlines()
    answer: dict[str, Any] = json.loads(last)
    assert answer["machine"]["cores"] >= 1
    assert answer["machine"]["onnxruntime"]
    assert all(row.keys() == FIGURE for row in answer["figures"])
    return lines, answer


def test_graphs(tmp_path: Path) -> None:
    lines, answer = run(tmp_path, "graphs.py")
    assert answer["bench"] == "graphs"
    (row,) = answer["figures"]
    assert row["value"] == pytest.approx(sum(answer["bytes"].values()) / 1e6)
    assert any("shipped graphs" in line and "at most 2 MB" in line for line in lines)


@pytest.mark.slow
def test_imports(tmp_path: Path) -> None:
    _, answer = run(tmp_path, "imports.py")
    loaded = answer["loaded"]
    assert {name.split()[0] for name in loaded} == {"render", "build"}
    for name, found in loaded.items():
        assert {"numpy", "sakuga"} <= set(found["packages"])
        # Seen where it is allowed: the bench does look at what is loaded.
        assert ("onnx" in found["packages"]) == name.startswith("build")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_networks(tmp_path: Path) -> None:
    _, answer = run(tmp_path, "networks.py", "--bucket", "128x128")
    measured = answer["relative_error"]
    assert measured.keys() == {"sdxl-tiny", "sd15-tiny"}
    for networks in measured.values():
        assert networks["unet"].keys() == {"128x128"}
        assert all(0 < error < 1 for errors in networks.values() for error in errors.values())


def test_host_step(tmp_path: Path) -> None:
    _, answer = run(tmp_path, "host_step.py", "--rounds", "1")
    samples = answer["samples"]
    assert samples.keys() == {"2 rows", "16 rows", "16 rows, previews"}
    # 28 steps, the first two of which bind and capture; starting pictures is the dear part.
    assert all(len(rows["settled_us"]) == 26 for rows in samples.values())
    assert all(min(rows["first_us"]) > min(rows["settled_us"]) > 0 for rows in samples.values())
    assert any("(lane.py" in row["function"] for row in answer["profile"])


def test_jobfile(tmp_path: Path) -> None:
    _, answer = run(tmp_path, "jobfile.py", "--lines", "50")
    assert answer["read_s"].keys() == {"JSONL", "CSV", "options", "grid"}
    assert all(row["value"] > 0 for row in answer["figures"])


def test_batcher(tmp_path: Path) -> None:
    _, answer = run(tmp_path, "batcher.py", "--ticks", "20")
    assert len(answer["figures"]) == 2 * len(POLICIES)
    assert all(0 < row["value"] < 1e5 and row["bar"] == 100 for row in answer["figures"])


def test_policies(tmp_path: Path) -> None:
    options = ("--pictures", "25", "--runs", "1", "--rates", "0.8", "1.1", "--rows", "8")
    lines, answer = run(tmp_path, "policies.py", *options)
    assert "A simulation." in lines[0] and answer["modelled"] is True
    assert {row["load"] for row in answer["results"]} == {
        "mixed, 0.8 of capacity",
        "mixed, 1.1 of capacity",
        "recorded, example.jsonl",
        "28 steps, all at once",
    }
    assert len(answer["results"]) == 4 * (2 + len(POLICIES))
    assert len(answer["figures"]) == 2 * (2 + len(POLICIES))


@pytest.mark.parametrize(
    "script",
    [
        "pipeline.py",
        "prompts.py",
        "startup.py",
        "encode.py",
        "ledger.py",
        "throughput.py",
        "full_size.py",
        "batches.py",
        "memory.py",
    ],
)
def test_slow_benches_still_load(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They take too long to run here, and still follow the code they measure."""
    monkeypatch.setattr(sys, "argv", [script, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(BENCH / script), run_name="__main__")
    assert not ended.value.code
    assert f"python bench/{script}" in capsys.readouterr().out


@pytest.mark.slow
def test_load(tmp_path: Path) -> None:
    _, answer = run(tmp_path, "load.py", "--seconds", "3", "--clients", "20")
    values = {row["what"]: row["value"] for row in answer["figures"]}
    assert answer["statuses"].keys() == {"200", "429"}
    for what in ("transport errors", "other statuses", "counts that do not hold"):
        assert values[what] == 0
    assert values["cores the engine took"] > values["cores the clients took"] > 0


@pytest.mark.slow
def test_http_overhead(tmp_path: Path) -> None:
    _, answer = run(tmp_path, "http_overhead.py", "--pictures", "5")
    values = {row["what"]: row["value"] for row in answer["figures"]}
    assert values["over HTTP"] > values["without"] > 0


def test_a_missed_bar_is_printed_and_is_no_failure() -> None:
    code = (
        "from common import Figure, report;"
        "report('x', [Figure('slow', 2.0, 's', 1.0), Figure('alike', float('inf'), 'dB', 45.0,"
        " 'at least')], {})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=BENCH, capture_output=True, text=True, check=True
    )
    assert "at most 1 s: MISSED" in done.stdout
    slow, alike = json.loads(done.stdout.splitlines()[-1])["figures"]
    assert slow["met"] is False
    assert alike["met"] is True and alike["value"] is None
