"""Which network of an upscaler a GPU is given, and why none."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hand_made_upscalers import hand_made, sharpener

from sakuga.engine.backend.cuda import loading
from sakuga.engine.backend.cuda.host_driver import HostDriver
from sakuga.engine.backend.cuda.loading import OnnxLoader, PlanLoader
from sakuga.engine.bundle import Bundle
from sakuga.engine.errors import BundleDamagedError, PlanMismatchError
from sakuga.engine.gpu import Gpu
from sakuga.engine.manifest import PlanSetEntry
from sakuga.engine.plans import Here
from sakuga.engine.upscaler_folder import UpscalerFolder, UpscalerPlan

ADA = Here({"rtx": "1.7"}, Gpu("NVIDIA GeForce RTX 4090", "sm89", 24 << 30, "13.0"))
BUNDLE_S = PlanSetEntry("rtx", "1.7", ("sm89",), None, "range", ("256x256",), 4, {})
PLAN = UpscalerPlan("plans/a.plan", "rtx", "1.7", ("sm89",), None, "float16", 1, 192, 0)


@pytest.fixture
def folder(tmp_path: Path) -> UpscalerFolder:
    return hand_made(tmp_path / "DAT_x2.upscaler", sharpener(2))


@pytest.fixture
def plans(sdxl_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> PlanLoader:
    """A loader whose library gives back what it is asked to load."""

    class Library:
        def __init__(self, backend: str, cache: Path | None = None) -> None:
            assert backend == "rtx"

        def session(self, plan: bytes, name: str, again: str) -> tuple[bytes, str, str]:
            return plan, name, again

    monkeypatch.setattr(loading, "TensorRt", Library)
    monkeypatch.setattr(loading, "here", lambda: ADA)
    return PlanLoader(sdxl_bundle, BUNDLE_S, frozenset())


def with_plan(folder: UpscalerFolder, plan: UpscalerPlan) -> UpscalerFolder:
    return replace(folder, manifest=replace(folder.manifest, plan=plan))


def test_a_plan_of_this_gpu_is_loaded(plans: PlanLoader, folder: UpscalerFolder) -> None:
    (folder.path / "plans").mkdir()
    (folder.path / PLAN.file).write_bytes(b"a plan")
    load = plans.upscaler(with_plan(folder, PLAN))
    plan, name, again = cast("Any", load(HostDriver().create_stream()))
    assert (plan, name) == (b"a plan", "upscaler DAT_x2")
    assert f"build-upscaler DAT_x2.pth --out {folder.path} --backend rtx" in again
    (folder.path / PLAN.file).unlink()
    with pytest.raises(BundleDamagedError, match="cannot be read"):
        load(HostDriver().create_stream())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"backend": "tensorrt"}, "Its plan is one of tensorrt."),
        ({"version": "1.6"}, "built with 1.6, installed is 1.7"),
        ({"targets": ("sm120",)}, "built for sm120, here is sm89"),
        ({"gpu": "NVIDIA GeForce RTX 3060 (sm86)"}, "built on NVIDIA GeForce RTX 3060"),
    ],
)
def test_a_plan_of_another_is_told(
    plans: PlanLoader, folder: UpscalerFolder, change: dict[str, Any], reason: str
) -> None:
    with pytest.raises(PlanMismatchError, match="DAT_x2 has no plan for this GPU") as caught:
        plans.upscaler(with_plan(folder, replace(PLAN, **change)))
    assert reason in caught.value.note
    assert f"build-upscaler DAT_x2.pth --out {folder.path} --backend rtx" in caught.value.hint


def test_no_plan_is_told(plans: PlanLoader, folder: UpscalerFolder) -> None:
    with pytest.raises(PlanMismatchError) as caught:
        plans.upscaler(folder)
    assert caught.value.note == "It was built without one."


@pytest.mark.parametrize("exact", [("float32",), ("float32", "float16")])
def test_without_plans_the_graph_in_the_fewest_bits_it_is_exact_in(
    sdxl_bundle: Bundle,
    folder: UpscalerFolder,
    monkeypatch: pytest.MonkeyPatch,
    exact: tuple[str, ...],
) -> None:
    monkeypatch.setattr(loading, "onnxruntime_library", lambda: SimpleNamespace(__version__="1"))
    monkeypatch.setattr(loading, "OnnxCudaSession", lambda graph, *_: graph)
    graphs: Any = {each: f"onnx/{each}.onnx" for each in exact}
    asked = replace(folder, manifest=replace(folder.manifest, graphs=graphs))
    found: Any = OnnxLoader(sdxl_bundle).upscaler(asked)(HostDriver().create_stream())
    assert found == folder.path / f"onnx/{exact[-1]}.onnx"
