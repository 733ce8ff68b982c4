"""Which device renders a bundle, on machines of all kinds."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NoReturn

import pytest

from sakuga.engine import engine
from sakuga.engine.backend import choose
from sakuga.engine.backend.choose import choose_device
from sakuga.engine.backend.cpu import CpuDevice
from sakuga.engine.backend.cuda import opening
from sakuga.engine.bundle import Bundle
from sakuga.engine.errors import (
    DeviceMemoryError,
    MissingDependencyError,
    PlanMismatchError,
    UsageError,
)
from sakuga.engine.gpu import Gpu
from sakuga.engine.manifest import PlanEntry, PlanSetEntry
from sakuga.engine.plans import Here
from sakuga.profiles.buckets import Size, SizeList, SizeRule

GPU = Gpu("NVIDIA GeForce RTX 4090", "sm89", 24 * 10**9, "13.0")
VERSION = "1.7.1.116"
MB = 10**6


def plans(shapes: str = "range", **more: object) -> PlanSetEntry:
    networks = {"unet": (5135, 1680), "vae_decoder": (100, 2300), "text_encoder": (250, 50)}
    entries = {
        name: PlanEntry(f"plans/x/{name}.plan", "key", weights * MB, working * MB, ())
        for name, (weights, working) in networks.items()
    }
    made = PlanSetEntry(
        backend="rtx", version=VERSION, targets=("sm89",), gpu=None, shapes="range",
        sizes=("256x256", "160x384", "384x160"), max_batch=4, plans=entries,
    )  # fmt: skip
    return replace(made, **{"shapes": shapes, **more})  # type: ignore[arg-type]


def with_plans(bundle: Bundle, made: Mapping[str, PlanSetEntry]) -> Bundle:
    return replace(bundle, manifest=replace(bundle.manifest, plans=made))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with a GPU, TensorRT for RTX, and no ONNX Runtime for GPUs."""
    monkeypatch.setattr(choose, "here", lambda: Here({"rtx": VERSION}, GPU))
    monkeypatch.setattr(choose, "has_cuda_provider", lambda: False)
    return monkeypatch


def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what is opened on the GPU, instead of opening it."""
    calls: list[str] = []
    monkeypatch.setattr(opening, "open_plans", lambda *_: calls.append("plans"))
    monkeypatch.setattr(opening, "open_onnx", lambda *_: calls.append("onnx-cuda"))
    return calls


def test_plans_are_used_where_they_run(machine: pytest.MonkeyPatch, sdxl_bundle: Bundle) -> None:
    calls = opened(machine)
    choose_device(with_plans(sdxl_bundle, {"x": plans()}), None, None, None)()
    assert calls == ["plans"]


@pytest.mark.parametrize(("deterministic", "padding"), [(False, "captured"), (True, "full")])
def test_deterministic_is_a_matter_of_calls(
    machine: pytest.MonkeyPatch, sdxl_bundle: Bundle, deterministic: bool, padding: str
) -> None:
    given: list[object] = []
    machine.setattr(opening, "open_plans", lambda *arguments: given.append(arguments[-1]))
    machine.setattr(opening, "open_onnx", lambda *arguments: given.append(arguments[-1]))
    machine.setattr(choose, "has_cuda_provider", lambda: True)
    for bundle in (with_plans(sdxl_bundle, {"x": plans()}), sdxl_bundle):
        choose_device(bundle, None, None, None, deterministic)()
    assert given == [padding] * 2
    device = choose_device(sdxl_bundle, "onnx", 1, None, deterministic)()
    assert isinstance(device, CpuDevice)
    device.close()


def test_an_engine_passes_on_what_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, sdxl_bundle: Bundle
) -> None:
    asked: list[object] = []

    def refuse(*arguments: object) -> NoReturn:
        asked.extend(arguments[1:])
        raise UsageError("seen")

    monkeypatch.setattr(engine, "choose_device", refuse)
    with pytest.raises(UsageError, match="seen"):
        engine.Engine.open(sdxl_bundle.path, backend="rtx", vram_bytes=5, deterministic=True)
    assert asked == ["rtx", None, 5, True]


def test_without_a_gpu_the_processor_renders(
    machine: pytest.MonkeyPatch, sdxl_bundle: Bundle
) -> None:
    machine.setattr(choose, "here", lambda: Here({"rtx": VERSION}, None))
    for bundle in (sdxl_bundle, with_plans(sdxl_bundle, {"x": plans()})):
        device = choose_device(bundle, None, 1, None)()
        assert isinstance(device, CpuDevice)
        device.close()
    with pytest.raises(PlanMismatchError, match="needs an NVIDIA GPU"):
        choose_device(sdxl_bundle, "rtx", None, None)


def test_plans_that_do_not_run_are_an_error_and_no_slow_picture(
    machine: pytest.MonkeyPatch, sdxl_bundle: Bundle
) -> None:
    for made in (plans(version="1.6"), plans(targets=("sm120",))):
        with pytest.raises(PlanMismatchError, match="No plan"):
            choose_device(with_plans(sdxl_bundle, {"x": made}), None, None, None)
    device = choose_device(with_plans(sdxl_bundle, {"x": plans(version="1.6")}), "onnx", 1, None)()
    assert isinstance(device, CpuDevice)
    device.close()


def test_a_bundle_without_plans_takes_the_best_onnx_runtime(
    machine: pytest.MonkeyPatch, sdxl_bundle: Bundle
) -> None:
    calls = opened(machine)
    device = choose_device(sdxl_bundle, None, 1, None)()
    assert isinstance(device, CpuDevice)
    device.close()
    with pytest.raises(MissingDependencyError, match="not installed"):
        choose_device(sdxl_bundle, "onnx-cuda", None, None)
    machine.setattr(choose, "has_cuda_provider", lambda: True)
    choose_device(sdxl_bundle, None, None, None)()
    assert calls == ["onnx-cuda"]


def test_what_is_asked_for_and_is_not_there_is_said(
    machine: pytest.MonkeyPatch, sdxl_bundle: Bundle
) -> None:
    with pytest.raises(UsageError, match="no backend"):
        choose_device(sdxl_bundle, "cuda", None, None)
    with pytest.raises(PlanMismatchError, match="no plans of the backend tensorrt"):
        choose_device(with_plans(sdxl_bundle, {"x": plans()}), "tensorrt", None, None)
    with pytest.raises(UsageError, match="plans alone"):
        choose_device(sdxl_bundle, "onnx", None, 8 << 30)


def test_sizes_are_those_of_the_profiles(sdxl_bundle: Bundle) -> None:
    assert opening.sizes_of(sdxl_bundle, plans()) == SizeRule(160, 384, 32)
    found = opening.sizes_of(sdxl_bundle, plans("buckets"))
    assert found == SizeList((Size(256, 256), Size(160, 384), Size(384, 160)))
    assert found.allows(Size(160, 384)) and not found.allows(Size(224, 224))
    assert found.nearest(Size(200, 380))[0] == Size(160, 384)


def test_memory_is_planned_from_the_manifest() -> None:
    whole = opening.residency_of(plans(), 24 << 30)
    assert (whole.rows, whole.visitors, whole.turns) == (8, frozenset(), False)
    # The range's corner of 384x384 is never rendered: the largest size is 256x256.
    assert whole.total_bytes < 1.06 * (5485 + 1680 + 2300 + 50) * MB
    with pytest.raises(DeviceMemoryError, match="256x256"):
        opening.residency_of(plans(), 4 << 30)


def test_fixed_rows_are_those_of_plans_or_limit_and_never_of_what_is_free() -> None:
    made, limit = plans(max_batch=8), 7200 * MB
    few = opening.residency_of(made, limit).rows
    assert 2 < few < 16
    for free in (limit, 24 * limit):
        found = opening.fixed_residency_of(made, free, limit)
        assert found.rows == few and found.total_bytes <= limit
    for free in (9000 * MB, 24 * limit):
        assert opening.fixed_residency_of(made, free, None).rows == 16
    for vram_bytes in (None, limit):
        with pytest.raises(DeviceMemoryError, match="too little for calls of"):
            opening.fixed_residency_of(made, 4000 * MB, vram_bytes)


@pytest.mark.parametrize("gigabytes", [8, 9, 24])
def test_no_room_is_kept_for_the_encoder_of_pictures(gigabytes: int) -> None:
    """It is there, and what is planned is the same: no start is slower or takes more for it."""
    made = plans()
    encoder = PlanEntry("plans/x/vae_encoder.plan", "key", 100 * MB, 9000 * MB, ())
    more = replace(made, plans={**made.plans, "vae_encoder": encoder})
    found = opening.residency_of(more, gigabytes << 30)
    assert found == opening.residency_of(made, gigabytes << 30)
    others = opening._visitors(found)
    assert others == (found.visitors | {"vae_encoder"} if found.visitors else frozenset())
