"""Is every network what diffusers computes? ONNX on ONNX Runtime against torch in float32.

    python bench/networks.py [--bucket 256x256]

Everything else Sakuga promises about its pictures rests on this. Both small families, every
network, every bucket: max|a − b| / max|b| at most 1e-4. The floor is float32 itself: two correct
orders of summation differ by about 1e-6.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from common import Figure, report, small_model, work_folder

from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.bundle import open_bundle
from sakuga.export.assemble import unchanged
from sakuga.export.checkpoint.layouts import Checkpoint, open_checkpoint
from sakuga.export.relative_error import relative_error
from sakuga.export.verify import (
    Case,
    Weights,
    decoder_cases,
    encoder_cases,
    text_cases,
    unet_cases,
)
from sakuga.profiles.buckets import Size

BAR = 1e-4
FAMILIES = ("sdxl-tiny", "sd15-tiny")


def measure(family: str, folder: Path, bucket: str | None) -> dict[str, dict[str, float]]:
    """Relative error by network, and by bucket or clip skip."""
    model, path = small_model(family, folder)
    bundle = open_bundle(path)
    with open_checkpoint(model) as checkpoint:
        if bucket is not None:
            width, height = map(int, bucket.split("x"))
            only = replace(checkpoint.family, buckets=(Size(width, height),))
            checkpoint = replace(checkpoint, family=only)
        sizes = [str(size) for size in checkpoint.family.buckets]
        found: dict[str, dict[str, float]] = {}
        for network, cases in network_cases(checkpoint).items():
            session = OnnxSession(bundle.graph(network))
            errors = [case_error(session, case) for case in cases]
            text = network.startswith("text_encoder")
            labels = [f"clip skip {skip + 1}" for skip in range(len(errors))] if text else sizes
            found[network] = dict(zip(labels, errors, strict=True))
    return found


def network_cases(checkpoint: Checkpoint) -> dict[str, Iterator[Case]]:
    """What goes into each network and what should come out."""
    weights = Weights(checkpoint, unchanged)
    encoders = checkpoint.family.text_encoders
    return {config.name: text_cases(weights, config) for config in encoders} | {
        "unet": unet_cases(weights),
        "vae_decoder": decoder_cases(weights),
        "vae_encoder": encoder_cases(weights),
    }


def case_error(session: OnnxSession, case: Case) -> float:
    """The largest relative error over the outputs."""
    inputs, wanted = case
    outputs = session.run(session.in_types(inputs))
    return max(relative_error(outputs[name], array) for name, array in wanted.items())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bucket", help="only this size, such as 256x256; default all")
    bucket = parser.parse_args().bucket
    figures: list[Figure] = []
    details: dict[str, Any] = {}
    with work_folder() as folder:
        for family in FAMILIES:
            details[family] = measure(family, folder, bucket)
            for network, errors in details[family].items():
                worst = max(errors, key=lambda name: errors[name])
                beside = f"worst of {len(errors)}: {worst}"
                what = f"{family} {network}"
                figures.append(Figure(what, errors[worst], "relative", BAR, beside=beside))
    report("networks", figures, {"relative_error": details})


if __name__ == "__main__":
    main()
