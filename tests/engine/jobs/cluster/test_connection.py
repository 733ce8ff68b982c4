"""Which cluster: a running one, one of our own, or an error that says what to do."""

import importlib.util
import signal
import sys
from pathlib import Path

import pytest

from sakuga.engine.errors import MissingDependencyError, UsageError
from sakuga.engine.jobs.cluster.connection import connected, ray_library

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: `make full` installs it"
)


def test_without_ray_one_learns_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray.data", None)  # where it is installed
    with pytest.raises(MissingDependencyError, match="Ray is not installed") as error:
        ray_library()
    assert "pip install 'sakuga[ray]'" in error.value.hint


@needs_ray
@pytest.mark.slow
@pytest.mark.parametrize("address", ["ray://127.0.0.1:10001", "somewhere", ":6379", "a:b"])
def test_no_address_of_a_cluster(address: str) -> None:
    with pytest.raises(UsageError, match="no address of a Ray cluster"), connected(address):
        raise AssertionError("connected")


@needs_ray
@pytest.mark.slow
def test_nobody_answers_there() -> None:
    with pytest.raises(UsageError, match="no Ray cluster at") as error, connected("127.0.0.1:1"):
        raise AssertionError("connected")
    assert "refused" in error.value.note and "ray start --head" in error.value.hint


@needs_ray
@pytest.mark.slow
def test_the_cluster_that_was_asked_for_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(UsageError, match=r"no Ray cluster at 127\.0\.0\.1:1"), connected("auto"):
        raise AssertionError("connected")


@needs_ray
@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Ray's own
def test_where_none_runs_one_is_started(ray_settings: Path) -> None:
    """One ran before and was killed."""
    (ray_settings / "ray").mkdir()
    (ray_settings / "ray" / "ray_current_cluster").write_text("127.0.0.1:1")
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with connected("auto") as told:
            assert "was started" in told
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
            here = ray_library().get_runtime_context().gcs_address
            with connected(here) as again:
                assert here in again
            with pytest.raises(UsageError, match="another Ray cluster"), connected("127.0.0.1:1"):
                raise AssertionError("connected")
            assert ray_library().is_initialized()
        assert not ray_library().is_initialized()
    finally:
        signal.signal(signal.SIGTERM, before)
