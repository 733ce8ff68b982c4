"""A real second machine, as far as Ray knows, that does not see the bundle."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sakuga.engine.bundle import Bundle
from sakuga.engine.jobs.cluster.cluster import opened_cluster
from sakuga.engine.jobs.cluster.order import EngineOptions
from sakuga.engine.runtime.request import Request

ray: Any = pytest.importorskip("ray", reason="Ray is not installed: `make full` installs it")

WAIT_S = 60


@pytest.fixture
def machine(ray_settings: Path, sdxl_bundle: Bundle, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Of two cores, beside one of none. It does not see the bundle (the first path), and has a
    cache of its own (the second)."""
    hidden, cache = tmp_path / "hidden", tmp_path / "cache"
    path = hidden / "anime.sakuga"
    shutil.copytree(sdxl_bundle.path, path)
    cache.mkdir()
    ray.init("local", num_cpus=0, include_dashboard=False, object_store_memory=100 << 20)
    address = ray.get_runtime_context().gcs_address
    command = f"{sys.executable} -m ray.scripts.scripts start --address={address} --num-cpus=2"
    second = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c",
         f"mount -t tmpfs none '{hidden}' && exec {command} --block"],
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until = time.monotonic() + WAIT_S
        while len(ray.nodes()) < 2:
            assert second.poll() is None and time.monotonic() < until
            time.sleep(0.2)
        yield path, cache / "sakuga" / "bundles"
    finally:
        second.terminate()
        second.wait(WAIT_S)
        ray.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Ray's own
@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root hides a folder from a process"
)
def test_it_is_given_one_copy_for_all_its_engines(
    machine: tuple[Path, Path],
    requests: list[Request],
    alone: list[bytes],
    files: Callable[..., list[bytes]],
) -> None:
    path, copies = machine
    options = EngineOptions(threads=1)
    with opened_cluster(path, "auto", options, lambda _: None) as cluster:
        assert cluster.slots.count == 2
        (copy,) = copies.iterdir()
        before = {each: each.stat().st_ctime_ns for each in copy.rglob("*")}
        assert files(cluster.outcomes(requests)) == alone
        assert [*copies.iterdir()] == [copy]
        assert {each: each.stat().st_ctime_ns for each in copy.rglob("*")} == before
