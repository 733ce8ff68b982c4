"""How fast is a batch? Mixed sizes on the processor, beside diffusers one by one and in batches.

    python bench/batches.py [--jobs 64] [--rounds 3] [--steps 28] [--threads 2]

The demo model, its nine sizes taking turns, a prompt and a seed of its own for each picture, Euler
a, guidance 5, compat diffusers; same weights, same threads, and the pictures are compared. Every
run is a process of its own, and they take turns. The rivals: diffusers' pipeline for each picture,
and for up to eight of one size in one call. The bar: 1.3 times the better of the two. Then the
batcher itself, four pictures and eight rows at once: mixed sizes against one size, by pixels, and
against each size by itself. The bar: 90 %. Takes about fifteen minutes on two cores.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path

import numpy as np
from common import CHILDREN, Figure, cores, median, report, run_child, work_folder

from sakuga.engine.runtime.request import Request
from sakuga.export.build import build
from sakuga.export.demo.__main__ import write_demo
from sakuga.export.demo.captions import prompt
from sakuga.export.demo.scene import random_scene
from sakuga.profiles.buckets import QUARTER_BUCKETS, Size
from sakuga.profiles.presets import all_presets

BAR_TIMES, BAR_SHARE, PICTURE_BAR = 1.3, 90.0, 45.0
NEGATIVE = all_presets()["animagine-xl-3.1"].negative_prompt
AS_OPENED = 0  # pictures at once, as an engine is opened
SLOTS = 4  # pictures at once for the second comparison, so calls of eight rows
TOGETHER = 8  # pictures of one call of the rival
SCENES = 17  # seed of the prompts


def requests(count: int, steps: int, sizes: Sequence[Size]) -> list[Request]:
    """So many pictures; sizes take turns."""
    generator = np.random.default_rng(SCENES)
    return [
        Request(
            prompt(random_scene(generator)),
            NEGATIVE,
            sizes[index % len(sizes)].width,
            sizes[index % len(sizes)].height,
            steps,
            5.0,
            "euler_a",
            seed=index,
            compat="diffusers",
        )
        for index in range(count)
    ]


def megapixels(wanted: Iterable[Request]) -> float:
    """Of all pictures."""
    return sum((each.width or 0) * (each.height or 0) * 1e-6 for each in wanted)


class Bench:
    """Runs of one model. `pictures` of the last run of each kind."""

    def __init__(self, folder: Path, threads: int) -> None:
        self.folder, self.threads = folder, threads
        self.pictures: dict[str, list[np.ndarray]] = {}
        write_demo("diffusers", "fp32", folder / "demo")
        build("demo", folder / "demo.sakuga")

    def sakuga(self, wanted: Sequence[Request], slots: int) -> float:
        """Seconds of `render_many` with so many places; `AS_OPENED`."""
        return self._run("batch_sakuga.py", "demo.sakuga", wanted, slots)

    def diffusers(self, wanted: Sequence[Request], most: int) -> float:
        """Seconds of the pipeline, so many pictures at most in one call."""
        return self._run("batch_diffusers.py", "demo", wanted, most)

    def _run(self, script: str, model: str, wanted: Sequence[Request], at_once: int) -> float:
        given, out = self.folder / "requests.json", self.folder / "pictures.npz"
        given.write_text(json.dumps([asdict(request) for request in wanted]))
        child = run_child(
            [CHILDREN / script, self.folder / model, given, out, str(self.threads), str(at_once)]
        )
        with np.load(out) as found:
            self.pictures[script] = [found[name] for name in found.files]
        return float(child.stdout)

    def likeness(self) -> float:
        """PSNR of the worst picture of the last run of each, in dB."""
        from pipeline import psnr  # here: it brings torch, which would take memory from the runs

        ours, theirs = self.pictures["batch_sakuga.py"], self.pictures["batch_diffusers.py"]
        return min(psnr(a, b) for a, b in zip(ours, theirs, strict=True))


def against_diffusers(bench: Bench, wanted: Sequence[Request], rounds: int) -> list[Figure]:
    """Pictures a second of the three, in turns."""
    seconds: dict[str, list[float]] = {"sakuga": [], "one by one": [], "batched": []}
    for _ in range(rounds):
        seconds["sakuga"].append(bench.sakuga(wanted, AS_OPENED))
        seconds["one by one"].append(bench.diffusers(wanted, 1))
        seconds["batched"].append(bench.diffusers(wanted, TOGETHER))
    rates = {name: len(wanted) / median(values) for name, values in seconds.items()}
    better = max(rates["one by one"], rates["batched"])
    beside = f"{len(wanted)} pictures, {bench.threads} threads"
    return [
        Figure("against the better of diffusers", rates["sakuga"] / better, "times", BAR_TIMES,
               "at least", "the design aims at 2"),
        Figure("sakuga", rates["sakuga"], "pictures/s", beside=beside),
        Figure("diffusers, one by one", rates["one by one"], "pictures/s", beside=beside),
        Figure("diffusers, a size in one call", rates["batched"], "pictures/s", beside=beside),
        Figure("the same pictures, worst", bench.likeness(), "dB", PICTURE_BAR, "at least"),
    ]  # fmt: skip


def against_one_size(bench: Bench, wanted: Sequence[Request], rounds: int) -> list[Figure]:
    """Mixed sizes against one, four pictures at once; in megapixels a second."""
    square = [replace(each, width=256, height=256) for each in wanted]
    by_size = sorted(wanted, key=lambda each: (each.width or 0, each.height or 0))
    apart = [list(same) for _, same in groupby(by_size, key=lambda each: (each.width, each.height))]
    mixed, one, each = list[float](), list[float](), list[float]()
    for _ in range(rounds):
        mixed.append(megapixels(wanted) / bench.sakuga(wanted, SLOTS))
        one.append(megapixels(square) / bench.sakuga(square, SLOTS))
        each.append(megapixels(wanted) / sum(bench.sakuga(same, SLOTS) for same in apart))
    rates = [median(values) for values in (mixed, one, each)]
    beside = f"{rates[0]:.4f} against {{:.4f}} megapixels/s, {SLOTS} pictures at once"
    return [
        Figure("mixed sizes against 256x256", 100 * rates[0] / rates[1], "%", BAR_SHARE,
               "at least", beside.format(rates[1])),
        Figure("mixed sizes against each by itself", 100 * rates[0] / rates[2], "%", BAR_SHARE,
               "at least", beside.format(rates[2])),
    ]  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=28)
    parser.add_argument("--threads", type=int, default=cores(), help="of every network")
    options = parser.parse_args()
    wanted = requests(options.jobs, options.steps, QUARTER_BUCKETS)
    with work_folder() as folder:
        bench = Bench(folder, options.threads)
        figures = against_diffusers(bench, wanted, options.rounds)
        figures += against_one_size(bench, wanted, options.rounds)
    report("batches", figures, {"options": vars(options)})


if __name__ == "__main__":
    main()
