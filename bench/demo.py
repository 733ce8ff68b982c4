"""Does the demo model draw what it is asked? Held-out prompts and seeds, judged by pixels.

    python bench/demo.py [--prompts 128]

28 steps of Euler a, guidance 5, Animagine's negative prompt. The judge's own mistakes on painted
pictures stand beside each share. Then the VAE on painted pictures, sharpness with and against the
quality tags, one change at a time, the time of a picture, and the same pictures from diffusers'
pipeline. Takes ten minutes.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
import torch
from common import Figure, cores, median, report, work_folder
from pipeline import psnr

from sakuga.engine.engine import Engine
from sakuga.engine.runtime.request import Request
from sakuga.export.build import build
from sakuga.export.demo.__main__ import write_demo
from sakuga.export.demo.captions import BEST_TAGS, WORST_TAGS, prompt
from sakuga.export.demo.judge import agreement, read, sharpness
from sakuga.export.demo.painter import paint_clean
from sakuga.export.demo.scene import Scene, random_scene
from sakuga.export.demo.training.vae import to_network
from sakuga.export.reference_pipeline import reference
from sakuga.profiles.buckets import QUARTER_BUCKETS, Size
from sakuga.profiles.presets import all_presets

HELD_OUT = 91_000  # neither training nor the judge has seen anything of this seed
NEGATIVE = all_presets()["animagine-xl-3.1"].negative_prompt
BEST = ", " + ", ".join(BEST_TAGS)
BARS = {"hair": 90.0, "night": 90.0, "cloth": None, "eyes": None}
NAMES = {
    "hair": "hair colour",
    "night": "day or night",
    "cloth": "colour of clothes",
    "eyes": "colour of eyes",
}


def scenes(count: int) -> list[Scene]:
    """Scenes no training ever saw."""
    generator = np.random.default_rng(HELD_OUT)
    return [replace(random_scene(generator), quality="best") for _ in range(count)]


def request(scene: Scene, index: int) -> Request:
    """The bar's settings; sizes take turns."""
    size = QUARTER_BUCKETS[index % len(QUARTER_BUCKETS)]
    return Request(
        prompt(scene),
        NEGATIVE,
        size.width,
        size.height,
        28,
        5.0,
        "euler_a",
        seed=1000 + index,
        prefix="none",
    )


def attributes(engine: Engine, held_out: Sequence[Scene]) -> list[Figure]:
    """How often each attribute is as asked, and how often the judge is right at all."""
    asked: dict[str, list[bool]] = {name: [] for name in NAMES}
    painted: dict[str, list[bool]] = {name: [] for name in NAMES}
    for index, scene in enumerate(held_out):
        wanted = request(scene, index)
        pixels = engine.render(wanted).pixels
        size = Size(pixels.shape[1], pixels.shape[0])
        for found, picture in ((asked, pixels), (painted, np.asarray(paint_clean(scene, size)))):
            for name, right in agreement(wanted.prompt, read(picture)).items():
                found[name].append(right)
    return [
        Figure(f"{NAMES[name]} as asked, of {len(asked[name])}", 100 * float(np.mean(asked[name])),
               "%", BARS[name], "at least",
               f"painted: {100 * float(np.mean(painted[name])):.1f} % of {len(painted[name])}")
        for name in NAMES
    ]  # fmt: skip


def quality(engine: Engine, held_out: Sequence[Scene]) -> list[Figure]:
    """Median sharpness as quality words come and go, one change at a time."""
    kinds = ("quality tags and negative prompt", "quality tags alone", "negative prompt alone",
             "neither", "asked to be bad")  # fmt: skip
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    for index, scene in enumerate(held_out):
        best = request(scene, index)
        assert best.prompt.endswith(BEST)
        plain = replace(best, prompt=best.prompt.removesuffix(BEST))
        bad = replace(plain, prompt=f"{plain.prompt}, {', '.join(WORST_TAGS[:3])}")
        asked = (best, replace(best, negative_prompt=""), plain,
                 replace(plain, negative_prompt=""), replace(bad, negative_prompt=""))  # fmt: skip
        for kind, each in zip(kinds, asked, strict=True):
            found[kind].append(sharpness(engine.render(each).pixels))
    painted = median([sharpness(np.asarray(paint_clean(scene, QUARTER_BUCKETS[0])))
                      for scene in held_out])  # fmt: skip
    return [
        Figure(f"sharpness, {kind}", median(values), "", beside=f"painted: {painted:.1f}")
        for kind, values in found.items()
    ]


def reconstruction(pipeline: Any) -> Figure:  # noqa: ANN401 (diffusers' pipeline)
    """Mean PSNR of painted pictures through the VAE in float32."""
    ratios = []
    for index, scene in enumerate(scenes(36)):
        size = QUARTER_BUCKETS[index % len(QUARTER_BUCKETS)]
        picture = np.array(paint_clean(scene, size))
        image = to_network(picture[None])
        with torch.inference_mode():
            again = pipeline.vae.decode(pipeline.vae.encode(image).latent_dist.mean).sample
        pixels = ((again[0].permute(1, 2, 0).clamp(-1, 1) + 1) * 127.5).round().byte().numpy()
        ratios.append(psnr(pixels, picture))
    return Figure("VAE, painted pictures", float(np.mean(ratios)), "dB", 26, "at least")


def parity(engine: Engine, golden: Any, held_out: Sequence[Scene]) -> Figure:  # noqa: ANN401
    """The worst picture against diffusers' pipeline on the same noise."""
    ratios = []
    for index, scene in enumerate(held_out):
        wanted = replace(request(scene, index), compat="diffusers")
        ratios.append(psnr(engine.render(wanted).pixels, golden.pixels(wanted)))
    return Figure("against the diffusers pipeline, worst", min(ratios), "dB", 45, "at least")


def speed(engine: Engine) -> Figure:
    """Median seconds of a 256x256 picture with a prompt not seen before."""
    seconds = []
    for index, scene in enumerate(scenes(6)):
        start = perf_counter()
        engine.render(replace(request(scene, 0), seed=index))
        seconds.append(perf_counter() - start)
    return Figure(f"one 256x256 picture, {cores()} cores", median(seconds[1:]), "s", 2.0)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=128)
    options = parser.parse_args()
    held_out = scenes(options.prompts)
    with work_folder() as folder:
        write_demo("diffusers", "fp32", folder / "demo")
        build("demo", folder / "demo.sakuga")
        golden = reference(folder / "demo")
        with Engine.open(folder / "demo.sakuga") as engine:
            figures = attributes(engine, held_out)
            figures += quality(engine, held_out[:18])
            figures += [speed(engine), parity(engine, golden, held_out[:9])]
        figures.append(reconstruction(golden.pipeline))
    report("demo", figures, {})


if __name__ == "__main__":
    main()
