"""A real Ray, here: two engines make the pictures one would, whatever dies meanwhile."""

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from sakuga.engine.bundle import Bundle
from sakuga.engine.engine import Engine
from sakuga.engine.errors import BundleDamagedError, SizeError
from sakuga.engine.jobs.cluster.cluster import Cluster, opened_cluster
from sakuga.engine.jobs.cluster.order import EngineOptions
from sakuga.engine.jobs.cluster.outcome import Made, Unmade
from sakuga.engine.runtime.request import Request

ray: Any = pytest.importorskip("ray", reason="Ray is not installed: `make full` installs it")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # Ray's own

Files = Callable[..., list[bytes]]

ONE_CORE = EngineOptions(threads=1)
WAIT_S = 60
BAD = Request("too small", width=8, height=8)


@pytest.fixture(scope="module")
def two_cores(ray_settings: Path) -> Iterator[str]:
    """A Ray of two cores, whatever this machine has; its address."""
    ray.init("local", num_cpus=2, include_dashboard=False, object_store_memory=100 << 20)
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


@pytest.fixture(scope="module")
def cluster(two_cores: str, sdxl_bundle: Bundle) -> Iterator[Cluster]:
    with opened_cluster(sdxl_bundle.path, two_cores, ONE_CORE, lambda _: None) as cluster:
        yield cluster


class Trap:
    """A request that Python code becomes, where it is unpacked."""

    def __init__(self, code: str, request: Request | None = None) -> None:
        self._code, self._request = code, request

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (self._code, {"request": self._request})


def engines() -> list[psutil.Process]:
    """The processes of engines, as Ray calls them."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "EngineActor" in process.cmdline()[0]:
                found.append(process)
        except (psutil.Error, IndexError):
            continue  # it has ended
    return found


def test_two_engines_make_the_pictures_of_one_process(
    cluster: Cluster, sdxl_engine: Engine, requests: list[Request], alone: list[bytes]
) -> None:
    assert str(cluster.slots) == "2 engines with one core each"
    assert cluster.engine.backend == sdxl_engine.backend
    outcomes = {each.index: each for each in cluster.outcomes([*requests, BAD])}
    failed, last = outcomes[len(requests)], outcomes[len(requests) - 1]
    assert isinstance(failed, Unmade) and isinstance(failed.error, SizeError)
    made = [outcomes[index] for index in range(len(requests))]
    assert [each.picture.data for each in made if isinstance(each, Made)] == alone
    assert isinstance(last, Made)
    assert (last.picture.seed, str(last.picture.size)) == (requests[-1].seed, "160x128")
    assert last.picture.parameters.startswith("13girl\nSteps: 8,")


def test_an_engine_that_is_killed_loses_nothing(
    cluster: Cluster, requests: list[Request], alone: list[bytes], files: Files
) -> None:
    def killing() -> Iterator[Made | Unmade]:
        for number, outcome in enumerate(cluster.outcomes(requests)):
            yield outcome
            if number == 2:
                engines()[0].send_signal(signal.SIGKILL)

    assert files(killing()) == alone


def test_a_fault_of_a_gpu_ends_its_process_and_no_more(
    cluster: Cluster, requests: list[Request], alone: list[bytes], files: Files, tmp_path: Path
) -> None:
    module = tmp_path / "fault.py"
    module.write_text(
        "from pathlib import Path\n"
        "from sakuga.engine.errors import EngineFault\n"
        "once = Path(__file__).with_suffix('.once')\n"
        "if not once.exists():\n"
        "    once.touch()\n"
        "    raise EngineFault('The GPU is gone.')\n"
    )
    code = f"__import__('runpy').run_path({str(module)!r}) and request"
    asked: list[Any] = [*requests]
    asked[5] = Trap(code, requests[5])
    assert files(cluster.outcomes(asked)) == alone
    assert module.with_suffix(".once").exists()


def test_a_picture_that_kills_its_engine_is_given_up_alone(
    cluster: Cluster, requests: list[Request], alone: list[bytes], files: Files
) -> None:
    asked: list[Any] = [*requests]
    asked[3] = Trap("__import__('os')._exit(9)")
    outcomes = {each.index: each for each in cluster.outcomes(asked)}
    deadly = outcomes.pop(3)
    assert isinstance(deadly, Unmade) and "4 processes that began" in deadly.error.what
    assert files(outcomes.values()) == [*alone[:3], *alone[4:]]


def test_who_stops_early_ends_the_engines(cluster: Cluster, requests: list[Request]) -> None:
    outcomes = cluster.outcomes(requests)
    next(outcomes)
    assert engines()
    outcomes.close()
    until = time.monotonic() + WAIT_S
    while engines():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_what_an_engine_cannot_open_is_said_at_once(
    two_cores: str, sdxl_bundle: Bundle, tmp_path: Path
) -> None:
    """It is damaged after it was opened here."""
    path = tmp_path / "anime.sakuga"
    shutil.copytree(sdxl_bundle.path, path)

    def damage(said: str) -> None:
        if "engines with" in said:
            next(path.rglob("tokenizer.json")).unlink()

    with (
        pytest.raises(BundleDamagedError, match="is damaged") as error,
        opened_cluster(path, two_cores, ONE_CORE, damage),
    ):
        raise AssertionError("opened")
    assert "This was on" in error.value.note
