"""The networks people use at their true sizes, with seeded weights: graphs, tiles and a plan."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hand_made_upscalers import psnr, scene, whole
from upscaler_files import (
    DAT_X2,
    Module,
    as_input,
    compact,
    dat,
    enlarged,
    enlarged_values,
    rrdb,
    save,
)

from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.refine.upscaler import Upscaler
from sakuga.engine.upscaler_folder import UpscalerFolder
from sakuga.export.relative_error import relative_error
from sakuga.export.upscaler.build import build_upscaler
from sakuga.export.upscaler.options import UpscalerOptions

pytestmark = pytest.mark.slow

# As the files' weights say: DAT_x2, RealESRGAN_x4plus, _x2plus, _x4plus_anime_6B, animevideov3.
NETWORKS: dict[str, Callable[[], Module]] = {
    "DAT_x2": lambda: dat(**DAT_X2),
    "x4plus": lambda: rrdb(num_filters=64, num_blocks=23),
    "x2plus": lambda: rrdb(num_filters=64, num_blocks=23, in_nc=12, shuffle_factor=2),
    "anime_6B": lambda: rrdb(num_filters=64, num_blocks=6),
    "animevideov3": lambda: compact(num_feat=64, num_conv=16, upscale=4),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_graph_and_tiles(name: str, tmp_path: Path) -> None:
    """The float32 graph against torch in floats, and tiles of 64 against a whole picture."""
    module = NETWORKS[name]()
    made = build_upscaler(save(module, tmp_path / f"{name}.pth", "params_ema"), tmp_path / name)
    session, picture = OnnxSession(made.graph("float32")), scene(64, 120)
    (got,) = session.run({"image": as_input(picture, made.manifest.sides)}).values()
    error = relative_error(got[0].transpose(1, 2, 0), enlarged_values(module, picture))
    assert error <= 1e-4
    assert ("float16" in made.manifest.graphs) == (name != "DAT_x2")
    tiled = whole(Upscaler(in_tiles(made, 64), session).once(picture))
    likeness = psnr(tiled, enlarged(module, picture))
    assert likeness >= 45
    print(f"{name}: {error:.1e} against torch, {likeness:.1f} dB in tiles")


def in_tiles(made: UpscalerFolder, tile: int) -> UpscalerFolder:
    return replace(made, manifest=replace(made.manifest, tile=tile))


def test_a_plan_for_gpus_that_are_not_here(tmp_path: Path) -> None:
    """A real engine of TensorRT for RTX with tiles of every size."""
    file = save(compact(), tmp_path / "a.pth")
    options = UpscalerOptions(backend="rtx", gpu="sm89,sm120")
    manifest = build_upscaler(file, tmp_path / "a.upscaler", options).manifest
    plan = manifest.plan
    assert plan is not None and plan.targets == ("sm89", "sm120") and plan.gpu is None
    assert (plan.precision, plan.smallest, plan.largest) == ("float16", 1, 192)
    assert (tmp_path / "a.upscaler" / plan.file).stat().st_size > 10_000
    assert plan.activation_bytes > 0
