"""Builds with plans that are interrupted or killed: finished plans stay, everything else goes."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sakuga.engine.bundle import Bundle, open_bundle
from sakuga.export.build import BuildOptions, build
from sakuga.export.plans.report import read_report

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals, forks and /proc")

OPTIONS = BuildOptions(backend="rtx", gpu="sm89")
QUICK = ("text_encoder", "text_encoder_2")

# A process that imports once and forks a child for every build it kills; before each it takes a
# quick plan out of the store, so that there is something to build. Prints what it killed in the
# midst of.
RANDOM_KILLS = """
import os, random, signal, sys, time
from pathlib import Path
from sakuga.engine.bundle import open_bundle
from sakuga.export.build import BuildOptions, build

model, out, store = map(Path, sys.argv[1:4])
kills, seconds = map(float, sys.argv[4:6])
quick = [store / f"{sys.argv[6]}{suffix}" for suffix in (".json", ".plan")]
random.seed(0)
for number in range(int(kills)):
    for path in quick:
        path.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        build(model, out, BuildOptions(backend="rtx", gpu="sm89"))
        os._exit(0)
    time.sleep(seconds * (number + random.random()) / kills)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if out.exists():
        open_bundle(out)
    finished = os.WIFEXITED(status) and not os.WEXITSTATUS(status)
    left = sorted({path.suffix for path in store.iterdir()} & {".lock", ".half"})
    print("finished" if finished else "killed", out.exists(), *left, flush=True)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def suffixes(store: Path) -> set[str]:
    return {path.suffix for path in store.iterdir()}


def workers(store: Path) -> Iterator[int]:
    """Workers that use this test's cache folder."""
    cache = str(store.parent.parent).encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            place = (process / "environ").read_bytes()
        except OSError:  # it has gone
            continue
        if b"sakuga.export.plans.worker" in words and cache in place:
            yield int(process.name)


def no_workers(store: Path) -> bool:
    """Whether all workers have ended, in a moment or two."""
    deadline = time.monotonic() + 5
    while list(workers(store)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def plan_names(bundle: Bundle) -> dict[str, str]:
    """What the plans are called in the store, by network."""
    (plans,) = bundle.manifest.plans.values()
    return {network: plan.key[:32] for network, plan in plans.plans.items()}


def new_plans(bundle: Bundle) -> set[str]:
    """The networks whose plans a build had to make."""
    report = read_report(bundle.path)
    assert report is not None
    return {row.network for row in report.networks if not row.reused}


def forget(store: Path, *plans: str) -> None:
    for plan in plans:
        for suffix in (".json", ".plan"):
            (store / f"{plan}{suffix}").unlink()


def wait_for(path: Path, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, path
        time.sleep(0.01)


def started(model: Path, out: Path) -> "subprocess.Popen[str]":
    """The command line, building."""
    words = ["build", str(model), "--out", str(out), "--backend", "rtx", "--gpu", "sm89"]
    return subprocess.Popen(
        [sys.executable, "-m", "sakuga", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heeding_ctrl_c,
    )


def heeding_ctrl_c() -> None:
    """What a shell starts in the background ignores Ctrl-C, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(
    "number, network, moment",
    [(signal.SIGINT, "text_encoder_2", ".half"), (signal.SIGTERM, "text_encoder", ".lock")],
)
def test_an_interrupted_build_keeps_its_finished_plans_and_goes_on_behind_them(
    rtx_bundle: Bundle,
    sdxl_file: Path,
    plans_at_hand: Path,
    tmp_path: Path,
    number: signal.Signals,
    network: str,
    moment: str,
) -> None:
    plans, out = plan_names(rtx_bundle), tmp_path / "place" / "b.sakuga"
    forget(plans_at_hand, *(plans[name] for name in QUICK))
    process = started(sdxl_file, out)
    wait_for(plans_at_hand / f"{plans[network]}{moment}", process)
    stop = time.monotonic()
    process.send_signal(number)
    said, complaints = process.communicate(timeout=60)
    assert time.monotonic() - stop < 5
    assert (process.returncode, said) == (75, "")
    assert "Traceback" not in complaints
    assert "The build was stopped." in complaints and "Run the same command again" in complaints
    assert no_workers(plans_at_hand)
    undone = {name for name in QUICK if name >= network}
    there = {path.stem for path in plans_at_hand.glob("*.json")}
    assert there == {plans[name] for name in plans.keys() - undone}
    assert suffixes(plans_at_hand) <= {".json", ".plan", ".log"}
    assert not out.parent.exists(), "the folder above was made by the build"
    assert new_plans(build(sdxl_file, out, OPTIONS)) == undone
    assert suffixes(plans_at_hand) == {".json", ".plan", ".log"}


@pytest.mark.parametrize("kills", [6, pytest.param(50, marks=pytest.mark.slow)])
def test_random_kills_leave_a_whole_bundle_or_none(
    rtx_bundle: Bundle, sdxl_file: Path, plans_at_hand: Path, tmp_path: Path, kills: int
) -> None:
    plans, out = plan_names(rtx_bundle), tmp_path / "place" / "b.sakuga"
    out.parent.mkdir()
    quick = plans["text_encoder"]
    forget(plans_at_hand, quick)
    start = time.monotonic()
    build(sdxl_file, out, OPTIONS)
    seconds = (time.monotonic() - start) * 1.1
    shutil.rmtree(out)
    words = [sdxl_file, out, plans_at_hand, kills, seconds, quick]
    command = [sys.executable, "-c", RANDOM_KILLS, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    fates = done.stdout.splitlines()
    assert len(fates) == kills
    # The kills struck where they should: in the midst of plans.
    assert sum(".lock" in fate for fate in fates) >= kills // 3, fates
    assert no_workers(plans_at_hand)
    bundle = build(sdxl_file, out, OPTIONS)
    assert open_bundle(out).manifest == bundle.manifest
    assert names(out.parent) == [out.name]
    assert suffixes(plans_at_hand) == {".json", ".plan", ".log"}
