"""The real size: a synthetic SDXL of 6.9 GB to a bundle with plans, on whatever machine this is.

Needs 30 GB of disk and 18 GB of memory, and a quarter of an hour.
"""

import shutil
from pathlib import Path

import pytest

from sakuga.engine.bundle import open_bundle
from sakuga.engine.platform import free_memory_bytes
from sakuga.export.build import BuildOptions, build
from sakuga.export.plans.report import read_report
from sakuga.export.scan import FLOAT16_MAX
from sakuga.export.synthetic import write_synthetic
from sakuga.profiles.families import SDXL

pytestmark = pytest.mark.slow


def test_a_full_size_model_becomes_plans(tmp_path: Path) -> None:
    free = free_memory_bytes()
    if shutil.disk_usage(tmp_path).free < 30e9 or (free is not None and free < 18e9):
        pytest.skip("needs 30 GB of disk and 18 GB of memory")
    model, out = tmp_path / "sdxl.safetensors", tmp_path / "sdxl.sakuga"
    write_synthetic(SDXL, "single", "fp16", 0, model)
    build(model, out, BuildOptions(backend="rtx", gpu="sm89", verify=True))
    bundle, report = open_bundle(out), read_report(out)
    assert report is not None
    fused = {row.network: row.record.facts.fused_attentions for row in report.networks}
    assert fused["unet"] == 140
    assert fused["text_encoder"] == 12
    assert fused["text_encoder_2"] == 32
    assert all(0 < row.record.scan.largest <= FLOAT16_MAX for row in report.networks)
    assert bundle.manifest.verification["vae_decoder"] < 1e-2
    assert bundle.manifest.verification["text_encoder_2"] < 1e-2
