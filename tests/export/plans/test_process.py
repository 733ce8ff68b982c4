"""The worker: a plan built in a process of its own, which says why where it fails, and ends."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sakuga.engine.bundle import Bundle
from sakuga.engine.errors import BuildError, PlanBuildError
from sakuga.export.plans.builder import Recipe
from sakuga.export.plans.process import run_worker
from sakuga.export.plans.worker import Task, read_task
from sakuga.export.precision import Precision
from sakuga.profiles.families import SDXL_TINY, TRACED, Family
from sakuga.profiles.networks import networks
from sakuga.profiles.plan_shapes import PlanShapes, profiles_of

BoundVae = Callable[[str, Precision, float], Path]
Unreadable = Callable[[str], Recipe]

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and /proc")
LOUD = 100.0


def recipe_of(graph: Path, network: str, family: Family = SDXL_TINY) -> Recipe:
    shapes = PlanShapes("sizes", family.buckets[:1], 1)
    return Recipe(network, graph, profiles_of(networks(family)[network], shapes), ("sm89",), False)


@pytest.fixture
def task(sdxl_fp16_bundle: Bundle, text_recipe: Recipe, tmp_path: Path) -> Task:
    """The first text encoder of sdxl-tiny."""
    bundle = sdxl_fp16_bundle
    return Task(
        backend="rtx",
        family=SDXL_TINY.name,
        recipe=text_recipe,
        encoders={
            name: (str(bundle.graph(name)), str(bundle.token_embedding(name)))
            for name in ("text_encoder", "text_encoder_2")
        },
        timings=None,
        donor=None,
        out=str(tmp_path / "half"),
        log=str(tmp_path / "log"),
        seconds=2.0,
    )


@pytest.fixture
def long_task(task: Task, plan_unet: Path) -> Task:
    """The UNet: several seconds of work."""
    return replace(task, recipe=recipe_of(plan_unet, "unet"))


def unheard(share: float) -> None:
    return None


def children() -> Iterator[int]:
    """Processes this one has started and not waited for."""
    for thread in Path("/proc/self/task").iterdir():
        yield from map(int, (thread / "children").read_text().split())


@pytest.mark.parametrize("family", TRACED.values(), ids=TRACED.keys())
def test_a_task_reads_back_the_same(task: Task, family: Family) -> None:
    for network in networks(family):
        asked = replace(task, recipe=recipe_of(Path("a") / "b.onnx", network, family))
        assert "\n" not in asked.to_json()
        read = read_task(asked.to_json())
        assert read.recipe == asked.recipe
        assert read.to_json() == asked.to_json()


def test_a_worker_writes_the_plan_and_says_what_came_of_it(task: Task) -> None:
    shares = list[float]()
    found = run_worker(task, shares.append)
    plan = Path(task.out).read_bytes()
    assert found.facts.size_bytes == len(plan)
    assert found.facts.sha256 == hashlib.sha256(plan).hexdigest()
    assert found.facts.fused_attentions == 3
    assert found.scan.values > 10 and 1 < found.scan.largest < 1000
    assert shares == sorted(shares) and all(0 <= share < 1 for share in shares)
    assert "INFO Total Activation Memory" in Path(task.log).read_text()


def test_what_tensorrt_refuses_comes_back_as_it_was_raised(
    task: Task, unreadable: Unreadable
) -> None:
    asked = replace(task, recipe=unreadable("vae_encoder"))
    with pytest.raises(PlanBuildError, match="cannot read the graph of the network vae_") as caught:
        run_worker(asked, unheard)
    assert "culprit (Det)" in caught.value.note
    assert task.log in caught.value.hint


def test_overflow_is_found_before_anything_is_built(task: Task, bound_vae: BoundVae) -> None:
    graph = bound_vae("vae_decoder", "float16", LOUD)
    asked = replace(task, recipe=recipe_of(graph, "vae_decoder"))
    with pytest.raises(BuildError, match="vae_decoder overflows float16") as caught:
        run_worker(asked, unheard)
    assert "65,504" in caught.value.note
    assert not Path(task.out).exists()


def test_a_file_that_is_missing_is_an_error_of_the_system(task: Task) -> None:
    absent = replace(task, recipe=replace(task.recipe, graph=Path("absent.onnx")))
    with pytest.raises(FileNotFoundError) as caught:
        run_worker(absent, unheard)
    assert caught.value.filename == "absent.onnx"


# A limit on file sizes makes the system refuse a write wherever it is reached.
LIMITED = """
import resource, sys
from sakuga.export.plans.process import run_worker
from sakuga.export.plans.worker import read_task
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
try:
    run_worker(read_task(sys.stdin.read()), lambda share: None)
except OSError as error:
    print(error.strerror, error.filename)
"""


@posix
def test_a_disk_that_is_full_is_an_error_of_the_system(task: Task) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED], input=task.to_json(), capture_output=True, text=True
    )
    assert done.stdout == f"File too large {task.out}\n", done.stderr


@posix
def test_a_worker_that_is_killed_is_told_with_its_signal(long_task: Task) -> None:
    def kill(share: float) -> None:
        for child in children():
            os.kill(child, signal.SIGKILL)

    with pytest.raises(PlanBuildError, match="died at the network unet") as caught:
        run_worker(long_task, kill)
    assert "killed by signal 9. Memory running out" in caught.value.note
    assert long_task.log in caught.value.hint


def test_a_worker_that_cannot_start_its_work_says_its_last_words(task: Task) -> None:
    strange = replace(task, family="flux")
    with pytest.raises(PlanBuildError, match="died at the network text_encoder") as caught:
        run_worker(strange, unheard)
    assert "exit code 1" in caught.value.note
    assert "KeyError: 'flux'" in caught.value.note
    assert "Traceback" in Path(task.log).read_text()


@posix
def test_an_interruption_ends_the_worker_at_once(long_task: Task) -> None:
    def interrupt(share: float) -> None:
        assert set(children()) > others
        raise KeyboardInterrupt

    others, start = set(children()), time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_worker(long_task, interrupt)
    assert set(children()) <= others
    assert time.monotonic() - start < 5


@posix
def test_a_worker_never_outlives_who_started_it(long_task: Task) -> None:
    """Its input ends when the other end dies, whatever it died of."""
    command = [sys.executable, "-P", "-m", "sakuga.export.plans.worker"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=subprocess.DEVNULL) as worker:
        assert worker.stdin is not None
        worker.stdin.write(long_task.to_json().encode() + b"\n")
        worker.stdin.flush()
        deadline = time.monotonic() + 60
        while not Path(long_task.out).exists():  # TensorRT is at work
            assert worker.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        worker.stdin.close()
        assert worker.wait(5) == 1
