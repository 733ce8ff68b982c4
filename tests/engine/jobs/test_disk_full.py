"""A disk that is really full: a small one in memory, mounted for one process alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sakuga.engine.bundle import Bundle

HERE = Path(__file__).parent

FILL = """
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

def mount(size, *options):
    options = ",".join([f"size={size}", *options])
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], check=True)

def render(out):
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
mount("64m")
assert render(out) == "done"
whole = tree(out)
painter.made.clear()
subprocess.run(["umount", disk], check=True)
mount("3m")
said, seen, made = [], [], []
for size in ("3m", "3m", "4m", "64m"):
    mount(size, "remount")
    before = len(painter.made)
    said.append(render(out))
    made.append(len(painter.made) - before)
    assert tree(out).items() <= whole.items(), "a file that is not whole"
    seen.append(len(tree(out)))
assert tree(out) == whole
print(json.dumps({"said": said, "seen": seen, "made": made, "twice": len(painter.made) - 40}))
painter.close()
"""


def test_a_full_disk_stops_and_more_room_goes_on(sdxl_bundle: Bundle, tmp_path: Path) -> None:
    alone = ["unshare", "--user", "--map-root-user", "--mount"]
    try:
        subprocess.run(
            [*alone, "mount", "-t", "tmpfs", "tmpfs", tmp_path], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    done = subprocess.run(
        [*alone, sys.executable, "-c", FILL, HERE, sdxl_bundle.path, tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    first, again, more, last = found["said"]
    for said in (first, again, more):
        assert said.startswith("Stopped: No space left on device"), said
        assert "the same command goes on behind them." in said
    assert "of 40 pictures are done, and whole." in first
    assert last == "done" and 10 < found["seen"][0] <= found["seen"][1] < found["seen"][2]
    assert found["made"][1] <= 4 + 2 * 4, "a full disk is not tried again and again"
