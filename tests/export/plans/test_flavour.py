"""The two libraries behind one face: versions, network flags, targets.

TensorRT for RTX is the real one. The full TensorRT is not among what tests need, so where it
differs a small object with the names in question stands for it.
"""

import hashlib
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from sakuga.engine.errors import MissingDependencyError, TargetError
from sakuga.engine.gpu import Gpu
from sakuga.export.hashing_writer import HashingWriter
from sakuga.export.plans.callbacks import Guard
from sakuga.export.plans.flavour import KNOWN, Flavour, PlanBackend, load_flavour

GPU = Gpu("NVIDIA H200", "sm90", 140 << 30, "13.0")
MODULES: dict[PlanBackend, str] = {"rtx": "tensorrt_rtx", "tensorrt": "tensorrt"}
BACKENDS: tuple[PlanBackend, ...] = ("rtx", "tensorrt")
Install = Callable[[PlanBackend, object], None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """`install(backend, version)`: an empty library of that version; None: no library at all."""

    def put(backend: PlanBackend, version: object) -> None:
        module = None if version is None else ModuleType(MODULES[backend])
        if module is not None:
            module.__dict__["__version__"] = version
        monkeypatch.setitem(sys.modules, MODULES[backend], module)

    return put


@pytest.fixture(scope="module")
def rtx() -> Flavour:
    return load_flavour("rtx")


@pytest.fixture(scope="module")
def builder(rtx: Flavour) -> Any:  # noqa: ANN401
    return rtx.library.Builder(rtx.library.Logger(rtx.library.ILogger.Severity.ERROR))


def stand_in(backend: PlanBackend, version: str, strongly_typed: int | None) -> Flavour:
    """A library of this version, with the flag of this number or without it."""
    flags = SimpleNamespace()
    if strongly_typed is not None:
        flags.STRONGLY_TYPED = strongly_typed
    return Flavour(backend, SimpleNamespace(NetworkDefinitionCreationFlag=flags), version)


def flags_given(flavour: Flavour) -> int:
    """The flags a builder is given for a new network."""
    given: list[int] = []
    flavour.create_network(SimpleNamespace(create_network=given.append))
    (flags,) = given
    return flags


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_absent_library_says_how_to_install_it(backend: PlanBackend, install: Install) -> None:
    install(backend, None)
    with pytest.raises(MissingDependencyError, match=MODULES[backend]) as caught:
        load_flavour(backend)
    assert f"pip install 'sakuga[{backend}]'" in caught.value.hint
    assert f"'.[{backend}]'" in caught.value.hint
    assert ("NVIDIA's own package index" in caught.value.hint) == (backend == "tensorrt")


@pytest.mark.parametrize("backend", BACKENDS)
def test_half_a_library_is_as_good_as_none(
    backend: PlanBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, MODULES[backend], ModuleType(MODULES[backend]))
    with pytest.raises(MissingDependencyError, match="does not load") as caught:
        load_flavour(backend)
    assert "__version__" in caught.value.note


@pytest.mark.parametrize(
    "backend, version, low, below",
    [
        ("rtx", "1.6.9.9", "1.7", "2"),
        ("rtx", "2.0.0.1", "1.7", "2"),
        ("tensorrt", "8.6.1", "10.12", "12"),
        ("tensorrt", "10.11.0.33", "10.12", "12"),
        ("tensorrt", "12.0.0", "10.12", "12"),
    ],
)
def test_a_version_sakuga_does_not_know_is_refused_with_those_it_does(
    backend: PlanBackend, version: str, low: str, below: str, install: Install
) -> None:
    install(backend, version)
    with pytest.raises(MissingDependencyError, match=f"{version} is not one") as caught:
        load_flavour(backend)
    assert f"{low} or newer, and older than {below}." in caught.value.note
    assert "pip install" in caught.value.hint


@pytest.mark.parametrize(
    "backend, version",
    [
        ("rtx", "1.7.0"),
        ("rtx", "1.10.0.21"),
        ("tensorrt", "10.12.0.36"),
        ("tensorrt", "10.100.0"),
        ("tensorrt", "11.3.0.9"),
    ],
)
def test_versions_within_the_range_are_taken(
    backend: PlanBackend, version: str, install: Install
) -> None:
    install(backend, version)
    assert load_flavour(backend).version == version


def test_networks_are_strongly_typed_in_every_version() -> None:
    """The flag is looked up by name, whatever its number; from TensorRT 11 on there is none."""
    for number in (0, 1, 5):
        assert flags_given(stand_in("tensorrt", "10.12.0.36", number)) == 1 << number
        assert flags_given(stand_in("tensorrt", "10.100.0", number)) == 1 << number
        assert flags_given(stand_in("rtx", "1.7.1.116", number)) == 1 << number
    assert flags_given(stand_in("tensorrt", "11.0.0.1", None)) == 0
    with pytest.raises(AttributeError):
        flags_given(stand_in("tensorrt", "10.16.0.1", None))


def test_the_real_library_names_its_targets_smallest_first(rtx: Flavour) -> None:
    able = rtx.capabilities()
    assert {"sm75", "sm86", "sm89", "sm120"} <= set(able) <= set(KNOWN)
    assert list(able) == sorted(able, key=KNOWN.index)
    for target in able:
        rtx.check_targets((target,), None)
    rtx.check_targets(able, None)


def test_targets_reach_the_real_librarys_config(rtx: Flavour, builder: Any) -> None:  # noqa: ANN401
    config = builder.create_builder_config()
    rtx.set_targets(config, ("sm89", "sm120"))
    capability = rtx.library.ComputeCapability
    assert config.num_compute_capabilities == 2
    assert config.get_compute_capability(0) == capability.SM89
    assert config.get_compute_capability(1) == capability.SM120


def test_any_is_no_target_at_all_and_current_is_one(rtx: Flavour, builder: Any) -> None:  # noqa: ANN401
    config = builder.create_builder_config()
    rtx.set_targets(config, ("any",))
    assert config.num_compute_capabilities == 0
    rtx.set_targets(config, ("current",))
    assert config.get_compute_capability(0) == rtx.library.ComputeCapability.CURRENT


def test_a_library_without_targets_builds_for_the_gpu_at_hand_alone() -> None:
    full = stand_in("tensorrt", "10.12.0.36", 1)
    assert full.capabilities() == ()
    full.check_targets(("current",), GPU)
    full.set_targets(None, ("current",))  # nothing is said to the config
    for targets in (("sm89",), ("sm89", "sm120"), ("any",)):
        with pytest.raises(TargetError, match=f"cannot build for {', '.join(targets)}") as caught:
            full.check_targets(targets, GPU)
        assert "--backend rtx" in caught.value.hint
    with pytest.raises(TargetError, match="no GPU here") as caught:
        full.check_targets(("current",), None)
    assert "machine that has the GPU" in caught.value.hint


def test_only_tensorrt_measures_kernels(rtx: Flavour) -> None:
    assert not rtx.keeps_timings()
    assert stand_in("tensorrt", "10.12.0.36", 1).keeps_timings()


@dataclass
class OldBuilder:
    """A builder from before TensorRT 10.13: a plan comes in one piece, or not at all."""

    plan: bytes | None

    def build_serialized_network(self, network: None, config: None) -> bytes | None:
        return self.plan


def test_a_library_that_cannot_stream_gives_the_plan_in_one_piece() -> None:
    full, file = stand_in("tensorrt", "10.12.0.36", 1), io.BytesIO()
    writer = HashingWriter(file)
    assert full.serialize(OldBuilder(b"a plan"), None, None, writer, Guard())
    assert file.getvalue() == b"a plan"
    assert writer.position == 6
    assert writer.sha256 == hashlib.sha256(b"a plan").hexdigest()
    assert not full.serialize(OldBuilder(None), None, None, writer, Guard())
    assert writer.position == 6
