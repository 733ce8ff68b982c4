"""`sakuga render --ray`: the ledger is here, the engines are Ray's."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sakuga.engine.bundle import Bundle

ray: Any = pytest.importorskip("ray", reason="Ray is not installed: `make full` installs it")

pytestmark = pytest.mark.slow

JOBS = 40
LINE = {"prompt": "1girl", "width": 128, "height": 128, "steps": 12}


def job_file(folder: Path) -> Path:
    path = folder / "jobs.jsonl"
    lines = (LINE | {"id": f"p{i:02d}", "seed": i} for i in range(JOBS))
    path.write_text("\n".join([*map(json.dumps, lines)]))
    return path


def command(bundle: Bundle, jobs: Path, out: Path, *options: str) -> list[str]:
    return [
        sys.executable, "-P", "-m", "sakuga", "render", str(bundle.path), "--jobs", str(jobs),
        "--out", str(out), "--threads", "1", *options,
    ]  # fmt: skip


def pictures(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.glob("p*.png")}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_stopped_and_gone_on_with(
    ray_settings: Path, sdxl_bundle: Bundle, tmp_path: Path, number: signal.Signals
) -> None:
    """By another way than it began."""
    jobs, out = job_file(tmp_path), tmp_path / "out"
    on_ray = command(sdxl_bundle, jobs, out, "--ray", "auto")
    with subprocess.Popen(on_ray, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        said = [run.stdout.readline() for _ in range(4)]
        run.send_signal(number)
        rest, complaints = run.communicate(timeout=120)
    said += rest.splitlines(keepends=True)
    assert all(line.endswith(".png\n") for line in said)
    done = pictures(out)
    assert 4 <= len(said) <= len(done) < JOBS
    if number == signal.SIGTERM:
        assert run.returncode == 75
        assert "Stopped as asked." in complaints and "The same command goes on" in complaints
        assert "was started for this rendering" in complaints
    alone = command(sdxl_bundle, jobs, tmp_path / "alone")
    subprocess.run(alone, check=True, capture_output=True)
    subprocess.run(command(sdxl_bundle, jobs, out), check=True, capture_output=True)
    assert pictures(out) == pictures(tmp_path / "alone")
    assert pictures(out).items() >= done.items()
