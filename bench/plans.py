"""What do plans cost to build? Time, memory, size; with ranges and with a profile for each bucket.

    python bench/plans.py [--full DIR] [--shapes range|buckets]

TensorRT for RTX, ahead of time, without a GPU and without torch in the process. Every build starts
with an empty store. The demo model always; with --full also a synthetic full-size SDXL, which is
made in DIR where it is not there yet (DIR needs 30 GB). Then the demo UNet in float16, computed by
torch itself, against float32: what precision costs with trained weights, bucket by bucket.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from common import CHILDREN, GIGABYTE, Child, Figure, report, run_child, work_folder
from full_size import HEAVY, checkpoint, clear, packages_of

DEMO_BARS = {"range": 180.0, "buckets": 300.0}
FULL_BARS = {"range": (600.0, 18.0), "buckets": (1200.0, 21.0)}
UNET_BARS = (240.0, 18.0)
DEMO_TARGETS = {"range": "sm89,sm120", "buckets": "sm89"}


def build(model: str | Path, shapes: str, targets: str, folder: Path) -> dict[str, Any]:
    """`sakuga build` in a child: seconds, peak memory, its report, heavy packages."""
    bundle, names = folder / "plans.sakuga", folder / "modules.txt"
    clear(Path(os.environ["XDG_CACHE_HOME"]), bundle)
    options = ["--backend", "rtx", "--gpu", targets, "--shapes", shapes]
    child: Child = run_child(
        [CHILDREN / "modules_at_exit.py", names, "build", model, "--out", bundle, *options]
    )
    found = json.loads((bundle / "build-report.json").read_text(encoding="utf-8"))
    size = sum(path.stat().st_size for path in bundle.rglob("*.plan"))
    clear(bundle)
    return {
        "seconds": child.seconds,
        "peak_gb": child.peak_bytes / GIGABYTE,
        "plans_gb": size / GIGABYTE,
        "heavy": sorted(HEAVY & packages_of(names)),
        "report": found,
    }


def demo_figures(shapes: str, run: dict[str, Any]) -> list[Figure]:
    """The demo model's bars."""
    beside = f"{run['plans_gb'] * 1000:.0f} MB of plans, peak {run['peak_gb']:.2f} GB"
    what = f"demo, {shapes}, {DEMO_TARGETS[shapes]}"
    return [Figure(what, run["seconds"], "s", DEMO_BARS[shapes], beside=beside)]


def full_figures(shapes: str, run: dict[str, Any]) -> list[Figure]:
    """The full-size model's bars, and what its UNet took of it."""
    seconds, gigabytes = FULL_BARS[shapes]
    unet = next(row for row in run["report"]["networks"] if row["network"] == "unet")
    facts = unet["record"]["facts"]
    arena = f"{facts['activation_bytes'] / GIGABYTE:.2f} GB of activations"
    heavy = ", ".join(run["heavy"]) or "no torch, diffusers, transformers"
    figures = [
        Figure(f"full SDXL, {shapes}", run["seconds"], "s", seconds,
               beside=f"{run['plans_gb']:.2f} GB of plans; {heavy}"),
        Figure(f"full SDXL, {shapes}, peak", run["peak_gb"], "GB", gigabytes),
    ]  # fmt: skip
    bar = UNET_BARS[0] if shapes == "range" else None
    beside = f"{facts['size_bytes'] / GIGABYTE:.2f} GB, {arena}"
    return [*figures, Figure(f"its UNet, {shapes}", facts["seconds"], "s", bar, beside=beside)]


def precision() -> list[Figure]:
    """The demo UNet in torch's float16 against float32, worst of its buckets."""
    import torch

    from sakuga.export.assemble import unchanged
    from sakuga.export.checkpoint.layouts import open_checkpoint
    from sakuga.export.demo import DEMO_CHECKPOINT
    from sakuga.export.reference import unet_module
    from sakuga.export.relative_error import relative_error
    from sakuga.export.verify import Weights, load_weights, unet_cases

    errors, cosines = [], []
    with open_checkpoint(DEMO_CHECKPOINT) as opened:
        weights = Weights(opened, unchanged)
        module = unet_module(opened.family)
        load_weights(module, weights, "unet")
        module = module.half()
        for inputs, wanted in unet_cases(weights):
            tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
            added = {name: tensors[name].half() for name in ("text_embeds", "time_ids")}
            with torch.inference_mode():
                out = module(tensors["sample"].half(), tensors["timestep"],
                             tensors["encoder_hidden_states"].half(),
                             added_cond_kwargs=added).sample.float().numpy()  # fmt: skip
            a, b = out.ravel().astype(np.float64), wanted["noise_pred"].ravel().astype(np.float64)
            errors.append(relative_error(out, wanted["noise_pred"]))
            cosines.append(float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)))
    beside = f"worst of {len(errors)} buckets"
    return [
        Figure("demo UNet, torch's float16 against float32", max(errors), "relative", 1e-2,
               beside=beside),
        Figure("the same, cosine", min(cosines), "", 0.9999, "at least", beside),
    ]  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", type=Path, metavar="DIR", help="with 30 GB free")
    parser.add_argument("--shapes", choices=("range", "buckets"), help="only these; default both")
    arguments = parser.parse_args()
    kinds = (arguments.shapes,) if arguments.shapes else ("range", "buckets")
    figures: list[Figure] = []
    runs: dict[str, Any] = {}
    with work_folder() as folder:
        for kind in kinds:
            runs[f"demo {kind}"] = run = build("demo", kind, DEMO_TARGETS[kind], folder)
            figures += demo_figures(kind, run)
        if arguments.full is not None:
            arguments.full.mkdir(parents=True, exist_ok=True)
            model = checkpoint(arguments.full)
            for kind in kinds:
                runs[f"full {kind}"] = run = build(model, kind, "sm89", arguments.full)
                figures += full_figures(kind, run)
        figures += precision()
    report("plans", figures, {"builds": runs})


if __name__ == "__main__":
    main()
