"""Requests for a cluster, and what one process makes of them."""

import gc
import secrets
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sakuga.engine.engine import Engine
from sakuga.engine.jobs.cluster.outcome import Made, Unmade
from sakuga.engine.runtime.request import Request

TOKEN = secrets.token_hex(32)  # a process cannot change it
Files = Callable[[Iterable[Made | Unmade]], list[bytes]]


@pytest.fixture(scope="session")
def requests() -> list[Request]:
    """Fourteen pictures of two sizes."""
    sizes = [(128, 128), (160, 128)] * 7
    return [
        Request(f"{number}girl", seed=number, steps=8, width=width, height=height)
        for number, (width, height) in enumerate(sizes)
    ]


@pytest.fixture(scope="session")
def alone(sdxl_engine: Engine, requests: list[Request]) -> list[bytes]:
    """The files that one process makes of them."""
    pictures = {picture.index: picture for picture in sdxl_engine.render_many(requests)}
    return [pictures[index].to_png() for index in range(len(requests))]


@pytest.fixture(scope="session")
def files() -> Files:
    """`files(outcomes)`: of all pictures, in the order of their requests; each must come once."""

    def of(outcomes: Iterable[Made | Unmade]) -> list[bytes]:
        found: dict[int, bytes] = {}
        for outcome in outcomes:
            assert isinstance(outcome, Made) and outcome.index not in found
            found[outcome.index] = outcome.picture.data
        return [found[index] for index in sorted(found)]

    return of


@pytest.fixture(scope="module")
def ray_settings(private_cache: object) -> Iterator[Path]:
    """Ray as tests should have it: it leaves nothing behind, knows of no other cluster on this
    machine, and reports nothing. Its folder, of a short name, for sockets lie in it."""
    with TemporaryDirectory(prefix="ray") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)
        patch.setenv("RAY_AUTH_TOKEN", TOKEN)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.delenv("RAY_ADDRESS", raising=False)
        yield Path(folder)
        with warnings.catch_warnings(action="ignore"):  # Ray does not wait for what it started
            gc.collect()
