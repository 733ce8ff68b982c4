"""A disk that is really full: a small one in memory, mounted for one process alone."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sakuga.engine.bundle import Bundle

HERE = Path(__file__).parent

READY = """
import hashlib, json, subprocess, sys
from pathlib import Path

here, bundle, disk = sys.argv[1:]
sys.path.insert(0, here)
from conftest import Painter
from sakuga.engine.bundle import open_bundle
from sakuga.engine.errors import StoppedError
from sakuga.engine.jobs.batch import Batch
from sakuga.engine.jobs.enlist import BatchOptions
from sakuga.engine.jobs.folder import claimed
from sakuga.engine.jobs.job import Job
from sakuga.engine.runtime.request import Request

painter = Painter(open_bundle(Path(bundle)), side=200)  # of noise: 120 KB each
jobs = [Job(f"p{i:02d}", Request("1girl", seed=i), "jobs.jsonl", i + 1) for i in range(40)]

def mount(*options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", disk], check=True)

def render(out, jobs):
    try:
        with claimed(out) as ledger:
            batch = Batch(painter, jobs, out, ledger, BatchOptions())
            list(batch.run())
            batch.write_views()
    except StoppedError as error:
        return str(error)
    return "done"

def tree(out):
    files = [path for path in out.iterdir() if path.is_file()]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

out = Path(disk, "out")
"""

FILL = """
mount("size=64m")
assert render(out, jobs) == "done"
whole = tree(out)
painter.made.clear()
subprocess.run(["umount", disk], check=True)
mount("size=3m")
said, seen, made = [], [], []
for size in ("3m", "3m", "4m", "64m"):
    mount(f"size={size}", "remount")
    before = len(painter.made)
    said.append(render(out, jobs))
    made.append(len(painter.made) - before)
    assert tree(out).items() <= whole.items(), "a file that is not whole"
    seen.append(len(tree(out)))
assert tree(out) == whole
print(json.dumps({"said": said, "seen": seen, "made": made, "twice": len(painter.made) - 40}))
painter.close()
"""

NO_MORE_FILES = """
said = []
for files in range(2, 20):  # the folder itself is one
    mount("size=64m", f"nr_inodes={files}")
    said.append(render(out, jobs[:2]))
    mount("size=64m", "nr_inodes=99", "remount")
    assert render(out, jobs[:2]) == "done"
    subprocess.run(["umount", disk], check=True)
print(json.dumps(said))
painter.close()
"""


@pytest.fixture
def on_small_disks(sdxl_bundle: Bundle, tmp_path: Path) -> Callable[[str], Any]:
    """`on_small_disks(script)`: what it prints, where it may mount what nobody else sees."""
    alone = ["unshare", "--user", "--map-root-user", "--mount"]

    def run(script: str) -> Any:  # noqa: ANN401 (any JSON value)
        try:
            subprocess.run(
                [*alone, "mount", "-t", "tmpfs", "tmpfs", tmp_path], check=True, capture_output=True
            )
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no file system can be mounted here: {error}")
        done = subprocess.run(
            [*alone, sys.executable, "-c", READY + script, HERE, sdxl_bundle.path, tmp_path],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_a_full_disk_stops_and_more_room_goes_on(on_small_disks: Callable[[str], Any]) -> None:
    found = on_small_disks(FILL)
    first, again, more, last = found["said"]
    for said in (first, again, more):
        assert said.startswith("Stopped: No space left on device"), said
        assert "the same command goes on behind them." in said
    assert "of 40 pictures are done, and whole." in first
    assert last == "done" and 10 < found["seen"][0] <= found["seen"][1] < found["seen"][2]
    assert found["made"][1] <= 4 + 2 * 4, "a full disk is not tried again and again"


def test_a_disk_that_can_hold_no_more_files_is_full(on_small_disks: Callable[[str], Any]) -> None:
    """While its room is nearly all free, which is what programs look at."""
    *stopped, done = on_small_disks(NO_MORE_FILES)
    assert done == "done"
    stopped = [said for said in stopped if said != "done"]
    assert len(stopped) > 5
    for said in stopped:
        assert "No space left on device" in said and "command" in said, said
