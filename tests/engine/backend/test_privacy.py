"""Rendering writes where it was told to and in its own cache, nowhere else."""

import os
import subprocess
import sys
from pathlib import Path

from sakuga.engine.bundle import Bundle


def test_nothing_is_written_elsewhere(sdxl_bundle: Bundle, tmp_path: Path) -> None:
    """ONNX Runtime keeps a database for its maker in the home folder unless told not to."""
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    environment = {name: value for name, value in os.environ.items() if "XDG" not in name}
    for verb in (
        ["render", str(sdxl_bundle.path), "a", "--steps", "1", "--out", "out"],
        ["doctor"],
    ):
        subprocess.run(
            [sys.executable, "-P", "-m", "sakuga", *verb],
            env=environment | {"HOME": str(home)},
            cwd=work,
            check=True,
            capture_output=True,
        )
    written = {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}
    assert written <= {".cache/sakuga/digests.json"}
    assert [path.name for path in work.iterdir()] == ["out"]
