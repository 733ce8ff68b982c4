"""One store, several processes: one builds a key, the others wait; a dead builder is replaced."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sakuga.export.plans.builder import PlanFacts
from sakuga.export.plans.key import PlanKey
from sakuga.export.plans.store import PlanStore
from sakuga.export.plans.worker import Record
from sakuga.export.scan import Scan

REPLACED_WITHIN_S = 5.0

# A process that takes a key. To build it takes so many seconds and writes its own number.
TAKER = """
import hashlib, sys, time
from pathlib import Path
from sakuga.export.plans.builder import PlanFacts
from sakuga.export.plans.key import PlanKey
from sakuga.export.plans.store import PlanStore
from sakuga.export.plans.worker import Record
from sakuga.export.scan import Scan

folder, number, seconds = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])

def build(out, log):
    plan = f"plan of {number}".encode()
    with out.open("xb") as file:
        file.write(plan)
        file.flush()
        time.sleep(seconds)
    digest = hashlib.sha256(plan).hexdigest()
    return Record(PlanFacts(seconds, len(plan), digest, 0, 0), Scan(0, 0.0, ""), None, False)

key = PlanKey("rtx", "1.7", 1, "unet", "a", "b", ("sm89",), None, False, ())
stored = PlanStore(folder).take(key, build, lambda: print("waits", flush=True))
print("reused" if stored.reused else "built", stored.path.read_text())
"""
KEY = PlanKey("rtx", "1.7", 1, "unet", "a", "b", ("sm89",), None, False, ())


def taker(folder: Path, number: int, seconds: float) -> "subprocess.Popen[str]":
    args = [sys.executable, "-c", TAKER, str(folder), str(number), str(seconds)]
    return subprocess.Popen(args, stdout=subprocess.PIPE, text=True)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.01)


def names(folder: Path) -> list[str]:
    return sorted(path.suffix for path in folder.iterdir())


def test_of_several_processes_one_builds_and_all_take_the_result(tmp_path: Path) -> None:
    takers = [taker(tmp_path, number, seconds=1.0) for number in range(3)]
    said = [process.communicate(timeout=60)[0].splitlines() for process in takers]
    assert [process.returncode for process in takers] == [0, 0, 0]
    ends = [lines[-1].split(" ", 1) for lines in said]
    assert sorted(word for word, _ in ends) == ["built", "reused", "reused"]
    assert len({plan for _, plan in ends}) == 1
    assert all(lines.count("waits") <= 1 for lines in said), "told once"
    assert names(tmp_path) == [".json", ".plan"]


@pytest.mark.skipif(sys.platform == "win32", reason="kills")
def test_a_killed_builder_is_replaced_within_five_seconds(tmp_path: Path) -> None:
    plan, deaths = b"plan of the survivor", list[float]()
    doomed = taker(tmp_path, 0, seconds=600.0)
    wait_for(tmp_path / f"{KEY.digest[:32]}.half")

    def build(out: Path, log: Path) -> Record:
        out.write_bytes(plan)
        digest = hashlib.sha256(plan).hexdigest()
        return Record(PlanFacts(0.0, len(plan), digest, 0, 0), Scan(0, 0.0, ""), None, False)

    def kill() -> None:
        """Told that another process builds: it dies that moment."""
        os.kill(doomed.pid, signal.SIGKILL)
        deaths.append(time.monotonic())

    stored = PlanStore(tmp_path).take(KEY, build, kill)
    assert time.monotonic() - deaths[0] < REPLACED_WITHIN_S
    doomed.communicate()
    assert not stored.reused
    assert stored.path.read_bytes() == plan
    assert names(tmp_path) == [".json", ".plan"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_one_who_waits_can_be_interrupted(tmp_path: Path) -> None:
    builder = taker(tmp_path, 0, seconds=600.0)
    wait_for(tmp_path / f"{KEY.digest[:32]}.half")

    def give_up() -> None:
        raise KeyboardInterrupt

    def build(out: Path, log: Path) -> Record:
        raise AssertionError("another process builds it")

    try:
        with pytest.raises(KeyboardInterrupt):
            PlanStore(tmp_path).take(KEY, build, give_up)
        assert ".half" in names(tmp_path), "the builder goes on"
    finally:
        builder.kill()
        builder.communicate()
