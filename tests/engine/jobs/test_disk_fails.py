"""Every call to the disk fails once, and from there on for good: a clear stop, and nothing lost.

The calls are those of the C library, so SQLite's are among them.
"""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sakuga.engine.bundle import Bundle

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None, reason="preloads a library it compiles"
)

HERE = Path(__file__).parent

# Renders into a folder with the k-th call failing, then again with a sound disk, for every k.
SWEEP = """
import ctypes, json, shutil, sqlite3, sys
from collections import Counter
from pathlib import Path

here, bundle, out, number, and_on = sys.argv[1], *map(Path, sys.argv[2:4]), *map(int, sys.argv[4:])
sys.path.insert(0, here)
from conftest import Painter
from sakuga.engine.bundle import open_bundle
from sakuga.engine.errors import OutputError, StoppedError
from sakuga.engine.jobs.batch import Batch
from sakuga.engine.jobs.enlist import BatchOptions
from sakuga.engine.jobs.folder import claimed
from sakuga.engine.jobs.job import Job
from sakuga.engine.runtime.request import Request

disk = ctypes.CDLL(None)
painter = Painter(open_bundle(bundle))
jobs = [Job(name, Request(name, seed=ord(name)), "jobs.jsonl", 1) for name in "abc"]
options = BatchOptions(name_of=lambda job: "more/c" if job.id == "c" else job.id)

def attempt():
    painter.made.clear()
    try:
        with claimed(out) as ledger:
            batch = Batch(painter, jobs, out, ledger, options)
            list(batch.run())
            batch.write_views()
    except (OutputError, StoppedError) as error:
        assert error.hint, error
        return type(error).__name__
    return "done"

def tree():
    files = [path for path in out.rglob("*") if path.is_file() and ".sakuga" not in path.parts]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}

def rows():
    try:
        with sqlite3.connect(out / ".sakuga" / "ledger.sqlite") as connection:
            return dict(connection.execute("SELECT path, seed FROM jobs WHERE state = 'done'"))
    except sqlite3.OperationalError:
        return {}

assert attempt() == "done"
whole, fates, k = tree(), Counter(), 0
assert len(whole) == 5
while True:
    shutil.rmtree(out)
    k += 1
    disk.disk_fails(bytes(out), k, number, and_on)
    fate = attempt()
    calls = disk.disk_calls()
    disk.disk_fails(bytes(out), -1, 0, 0)
    if calls < k:
        break
    fates[fate] += 1
    seen = {path: data for path, data in tree().items() if not Path(path).name.startswith(".")}
    assert seen.items() <= whole.items(), f"call {k}: a file that is not whole"
    done = rows()
    assert done.keys() <= seen.keys(), f"call {k}: a row without its picture"
    assert attempt() == "done", f"call {k}: {fate}, and cannot go on"
    assert tree() == whole, f"call {k}: {fate}, and then another tree"
    again = set(map(str, painter.made)) & set(done.values())
    assert not again, f"call {k}: rendered twice"
    assert len(rows()) == 3
painter.close()
print(json.dumps({"calls": k - 1, "fates": fates}))
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that makes calls fail."""
    path = tmp_path_factory.mktemp("library") / "failing_disk.so"
    command = ["cc", "-shared", "-fPIC", "-o", path, HERE / "failing_disk.c", "-ldl"]
    subprocess.run(command, check=True)
    return path


def sweep(library: Path, bundle: Bundle, memory: Path, number: int, and_on: bool) -> dict[str, Any]:
    arguments = [HERE, bundle.path, memory / "out", number, int(and_on)]
    done = subprocess.run(
        [sys.executable, "-c", SWEEP, *map(str, arguments)],
        env=os.environ | {"LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_disk_that_is_full_from_some_call_on(
    library: Path, sdxl_bundle: Bundle, memory: Path
) -> None:
    found = sweep(library, sdxl_bundle, memory, errno.ENOSPC, and_on=True)
    assert found["calls"] > 60
    assert set(found["fates"]) <= {"StoppedError", "done"}, "it can be gone on with, whoever met it"
    assert found["fates"]["StoppedError"] > 40


@pytest.mark.slow
@pytest.mark.parametrize("and_on", [False, True])
@pytest.mark.parametrize("number", [errno.EIO, errno.EDQUOT, errno.ENOSPC, errno.EROFS])
def test_one_call_fails_or_all_that_follow(
    library: Path, sdxl_bundle: Bundle, memory: Path, number: int, and_on: bool
) -> None:
    found = sweep(library, sdxl_bundle, memory, number, and_on)
    assert found["calls"] > 60
