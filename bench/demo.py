"""Does the demo model draw what it is asked? Held-out prompts and seeds, judged by pixels.

    python bench/demo.py [--prompts 128]

28 steps of Euler a, guidance 5, Animagine's negative prompt. The judge's own mistakes on painted
pictures stand beside each share. Then the VAE on painted pictures, sharpness with and against the
quality tags, the time of a picture, and the same pictures from diffusers' pipeline.
"""

import argparse
import math
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
from sakuga.export.demo.captions import WORST_TAGS, prompt
from sakuga.export.demo.judge import read, sharpness
from sakuga.export.demo.painter import paint_clean
from sakuga.export.demo.scene import Scene, random_scene
from sakuga.export.reference_pipeline import reference
from sakuga.profiles.buckets import QUARTER_BUCKETS, Size

HELD_OUT = 77_000  # no training data is made from this seed
NEGATIVE = "nsfw, lowres, worst quality, jpeg artifacts, low quality, displeasing, watermark, error"


def scenes(count: int) -> list[Scene]:
    """Scenes no training ever saw."""
    generator = np.random.default_rng(HELD_OUT)
    return [replace(random_scene(generator), quality="best") for _ in range(count)]


def request(scene: Scene, index: int) -> Request:
    """The bar's settings; sizes take turns."""
    size = QUARTER_BUCKETS[index % len(QUARTER_BUCKETS)]
    return Request(
        prompt(scene), NEGATIVE, size.width, size.height, 28, 5.0, "euler_a", seed=1000 + index
    )


def attributes(engine: Engine, held_out: Sequence[Scene]) -> list[Figure]:
    """How often hair, clothes and night are as asked, and how often the judge is right at all."""
    asked, painted = [], []
    for index, scene in enumerate(held_out):
        wanted = request(scene, index)
        pixels = engine.render(wanted).pixels
        size = Size(pixels.shape[1], pixels.shape[0])
        for found, picture in ((asked, pixels), (painted, np.asarray(paint_clean(scene, size)))):
            seen = read(picture)
            cloth = math.nan if seen.cloth is None else float(seen.cloth == scene.cloth)
            found.append((seen.hair == scene.hair, seen.night == scene.night, cloth))
    shares = 100 * np.nanmean(np.array(asked, np.float64), axis=0)
    truth = 100 * np.nanmean(np.array(painted, np.float64), axis=0)
    names, bars = ("hair colour", "day or night", "colour of clothes"), (90.0, 90.0, None)
    return [
        Figure(f"{name} as asked, {len(held_out)} prompts", float(share), "%", bar, "at least",
               f"painted pictures: {right:.1f} %")
        for name, bar, share, right in zip(names, bars, shares, truth, strict=True)
    ]  # fmt: skip


def quality(engine: Engine, held_out: Sequence[Scene]) -> list[Figure]:
    """Median sharpness with the recommended negative prompt, with none, and asked to be bad."""
    found: dict[str, list[float]] = {"negative prompt": [], "no negative prompt": [], "worst": []}
    for index, scene in enumerate(held_out):
        wanted = request(scene, index)
        plain = wanted.prompt.removesuffix(", masterpiece, best quality, very aesthetic, absurdres")
        bad = replace(wanted, prompt=f"{plain}, {', '.join(WORST_TAGS[:3])}", negative_prompt="")
        for name, asked in (
            ("negative prompt", wanted),
            ("no negative prompt", replace(wanted, prompt=plain, negative_prompt="")),
            ("worst", bad),
        ):
            found[name].append(sharpness(engine.render(asked).pixels))
    return [Figure(f"sharpness, {name}", median(values), "") for name, values in found.items()]


def reconstruction(pipeline: Any) -> Figure:  # noqa: ANN401 (diffusers' pipeline)
    """Mean PSNR of painted pictures through the VAE in float32."""
    ratios = []
    for index, scene in enumerate(scenes(36)):
        size = QUARTER_BUCKETS[index % len(QUARTER_BUCKETS)]
        picture = np.array(paint_clean(scene, size))
        image = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 127.5 - 1
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
