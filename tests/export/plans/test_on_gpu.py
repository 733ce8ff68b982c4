"""Plans on the GPU they are for. Skipped, visibly, where there is none."""

from pathlib import Path

import pytest

from sakuga.engine.bundle import Bundle
from sakuga.engine.gpu import find_gpu
from sakuga.export.build import BuildOptions, build
from sakuga.export.demo.__main__ import write_demo
from sakuga.export.plans.flavour import load_flavour
from sakuga.export.plans.job import default_backend
from sakuga.export.plans.log import BuildLog
from sakuga.export.plans.plan_run import PlanRun
from sakuga.export.plans.report import BuildReport, read_report

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(find_gpu() is None, reason="no NVIDIA GPU"),
    pytest.mark.skipif(default_backend() is None, reason="no TensorRT for this GPU"),
]


def report_of(bundle: Bundle) -> BuildReport:
    report = read_report(bundle.path)
    assert report is not None
    return report


@pytest.mark.parametrize("shapes", ["range", "buckets"])
def test_a_plan_computes_what_its_graph_does(tmp_path: Path, shapes: str) -> None:
    options = BuildOptions(backend=default_backend(), gpu="current", shapes=shapes)
    report = report_of(build("demo", tmp_path / "demo.sakuga", options))
    for row in report.networks:
        assert row.record.error is not None
        assert row.record.error <= 1e-2, row.network


def test_the_inspector_sees_fused_attention(tmp_path: Path) -> None:
    backend = default_backend()
    assert backend is not None
    bundle = build("demo", tmp_path / "demo.sakuga", BuildOptions(backend=backend))
    (plans,) = bundle.manifest.plans.values()
    with (
        BuildLog(tmp_path / "log") as log,
        PlanRun(load_flavour(backend), bundle.path / plans.plans["unet"].file, log) as plan,
    ):
        assert plan.layers().count("mha") >= 22


def test_a_plan_takes_another_checkpoint_s_weights(tmp_path: Path) -> None:
    options = BuildOptions(backend=default_backend(), refit=True)
    build("demo", tmp_path / "demo.sakuga", options)
    write_demo("single", "fp16", tmp_path / "other.safetensors")

    def louder(name: str, values):  # noqa: ANN001, ANN202 (a tensor, as it comes)
        return values * 1.01 if name.endswith("conv_out.weight") else values

    other = build(tmp_path / "other.safetensors", tmp_path / "other.sakuga", options, adapt=louder)
    rows = {row.network: row for row in report_of(other).networks}
    assert rows["unet"].record.refitted and not rows["unet"].reused
    assert rows["unet"].record.error is not None and rows["unet"].record.error <= 1e-2
    assert rows["text_encoder"].reused  # its weights are the same
