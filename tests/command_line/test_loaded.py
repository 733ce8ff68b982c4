"""What a process of the command line loads."""

import subprocess
import sys
from pathlib import Path

import pytest

from sakuga.engine.bundle import Bundle

LOADED = (
    "import sys, atexit; sys.argv = ['sakuga', *sys.argv[1:]];"
    "atexit.register(lambda: print(*{m.split('.')[0] for m in sys.modules}, file=sys.stderr));"
    "from sakuga.__main__ import main; main()"
)


@pytest.mark.parametrize(
    ("verb", "banned"),
    [
        ("render", {"torch", "diffusers", "transformers", "onnx"}),
        ("build", {"torch", "diffusers", "transformers", "onnxscript"}),
    ],
)
def test_what_a_process_loads(
    sdxl_bundle: Bundle, sdxl_file: Path, tmp_path: Path, verb: str, banned: set[str]
) -> None:
    arguments = {
        "render": [str(sdxl_bundle.path), "1girl", "--steps", "1", "--out", str(tmp_path / "out")],
        "build": [str(sdxl_file), "--out", str(tmp_path / "b.sakuga")],
    }
    command = [sys.executable, "-P", "-c", LOADED, verb, *arguments[verb]]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    loaded = set(done.stderr.split("\n")[-2].split())
    assert "numpy" in loaded
    assert not loaded & banned
