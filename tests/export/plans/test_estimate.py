"""What a build of plans will take, and its refusal where that is not there."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.bundle import Bundle
from sakuga.engine.errors import BuildError, PlanBuildError
from sakuga.export.build import BuildOptions, build
from sakuga.export.plans import build_plans as build_plans_module
from sakuga.export.plans.estimate import Estimate, check_room, estimate, estimate_plan
from sakuga.export.plans.report import read_report
from sakuga.export.plans.worker import Record

GB = 10**9
WANTED = Estimate(disk_bytes=6.2e9, memory_bytes=17.1e9, seconds=350.0)
OPTIONS = BuildOptions(backend="rtx", gpu="sm89")

weights = st.integers(0, 10 * GB)
profiles = st.integers(1, 10)


def test_enough_room_is_enough() -> None:
    check_room(WANTED, int(6.2e9), int(17.1e9), "here")
    check_room(WANTED, int(6.2e9), None, "here")  # a system that does not say what is free


def test_a_disk_that_is_too_small_is_named_with_its_place() -> None:
    with pytest.raises(BuildError, match="disk is too small for the plans") as caught:
        check_room(WANTED, int(6.1e9), int(17.1e9), "/cache")
    assert "They need 6.2 GB, 6.1 GB are free at /cache." in caught.value.note
    assert "--shapes range" in caught.value.hint and "XDG_CACHE_HOME" in caught.value.hint


def test_a_memory_that_is_too_small_is_named() -> None:
    with pytest.raises(BuildError, match="memory is too small") as caught:
        check_room(WANTED, int(6.2e9), int(17.0e9), "/cache")
    assert "needs 17.1 GB, 17.0 GB are free." in caught.value.note
    assert "need no GPU to build" in caught.value.hint


def test_it_is_said_in_words() -> None:
    assert str(WANTED) == "about 6.2 GB of plans, 17.1 GB of memory and 6 min on two cores"
    assert "1 min" in str(Estimate(0, 0, 2.0))


@given(weights, weights, profiles, profiles)
def test_more_weights_and_more_profiles_take_no_less(a: int, b: int, m: int, n: int) -> None:
    small, large = estimate_plan(min(a, b), min(m, n)), estimate_plan(max(a, b), max(m, n))
    assert small.disk_bytes <= large.disk_bytes
    assert small.memory_bytes <= large.memory_bytes
    assert small.seconds <= large.seconds
    assert small.disk_bytes >= min(a, b)


@given(st.lists(st.builds(estimate_plan, weights, profiles), min_size=1, max_size=5))
def test_plans_are_built_one_after_another(plans: list[Estimate]) -> None:
    together = estimate(plans)
    assert together.memory_bytes == max(plan.memory_bytes for plan in plans)
    assert together.disk_bytes == pytest.approx(sum(plan.disk_bytes for plan in plans))
    assert together.seconds == pytest.approx(sum(plan.seconds for plan in plans))


def test_the_largest_network_fits_the_bars_it_was_measured_for() -> None:
    """The UNet of SDXL, 5.1 GB in float16, as it was built on two cores."""
    unet = estimate_plan(5_135_000_000, 1)
    assert 16.7e9 < unet.memory_bytes < 18.5e9
    assert 5.1e9 < unet.disk_bytes < 5.5e9
    assert unet.seconds < 240


def test_real_plans_are_not_larger_than_foretold(rtx_bundle: Bundle) -> None:
    report = read_report(rtx_bundle.path)
    assert report is not None
    for row in report.networks:
        foretold = estimate_plan(row.weights_bytes, row.profiles).disk_bytes
        assert row.record.facts.size_bytes < 1.3 * foretold, row.network


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store; and no worker is started."""

    def refuse(task: object, advance: object) -> Record:
        raise PlanBuildError("a worker was started")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    monkeypatch.setattr(build_plans_module, "run_worker", refuse)
    return tmp_path / "cache" / "sakuga" / "plans"


@pytest.mark.parametrize("what", ["memory", "disk"])
def test_a_build_that_cannot_end_well_does_not_begin(
    store: Path, sdxl_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def usage(path: Path) -> object:
        return type("Usage", (), {"free": 100_000_000 if what == "disk" else GB * 1000})

    free = GB // 2 if what == "memory" else GB * 1000
    monkeypatch.setattr(build_plans_module, "free_memory_bytes", lambda: free)
    monkeypatch.setattr(build_plans_module.shutil, "disk_usage", usage)
    said = list[str]()
    with pytest.raises(BuildError, match=f"{what} is too small"):
        build(sdxl_file, tmp_path / "place" / "b.sakuga", OPTIONS, say=said.append)
    assert "5 of 5 to build: about" in said[0]
    assert names(store) == []
    assert not (tmp_path / "place").exists()


def test_what_is_there_already_needs_no_room(
    plans_at_hand: Path, sdxl_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_plans_module, "free_memory_bytes", lambda: 1)
    build(sdxl_file, tmp_path / "b.sakuga", OPTIONS)
    assert (tmp_path / "b.sakuga" / "plans").is_dir()


def test_a_plan_that_fails_leaves_no_bundle_and_no_half_file(
    store: Path, sdxl_file: Path, tmp_path: Path
) -> None:
    with pytest.raises(PlanBuildError, match="a worker was started"):
        build(sdxl_file, tmp_path / "place" / "b.sakuga", OPTIONS)
    assert names(store) == []
    assert not (tmp_path / "place").exists()
