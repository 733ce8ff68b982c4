"""How fast is a picture? One at a time, 256x256, 28 Euler a steps, guidance 7, beside diffusers.

    python bench/throughput.py [--pictures 7] [--threads 2]

Same weights, same machine, same number of threads, one process, taking turns. The bar is 1.5 times
the pictures per second of diffusers' own pipeline. The floor is the time in the networks, so what a
step spends outside them is measured too: the design allows under 1 % of a step.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any
from unittest.mock import patch

import torch
from common import Figure, cores, median, report, small_model, work_folder
from diffusers import EulerAncestralDiscreteScheduler

from sakuga.engine.engine import Engine
from sakuga.engine.runtime.request import Request
from sakuga.export.reference_pipeline import reference
from sakuga.kernels.philox import normals
from sakuga.profiles.families import LATENT_CHANNELS, VAE_FACTOR

BAR_TIMES, BAR_OUTSIDE_PERCENT = 1.5, 1.0
SIDE, STEPS, GUIDANCE = 256, 28, 7.0
NEGATIVE = "lowres, bad anatomy, bad hands, text, error, worst quality, low quality, watermark"


def request(seed: int) -> Request:
    """A picture nobody rendered before: no encoded prompt is remembered."""
    return Request(
        prompt=f"1girl, green hair, sweater, looking at viewer, outdoors, night, number {seed}",
        negative_prompt=f"{NEGATIVE}, number {seed}",
        width=SIDE,
        height=SIDE,
        steps=STEPS,
        guidance=GUIDANCE,
        sampler="euler_a",
        seed=seed,
        compat="diffusers",
    )


def rival(folder: Path) -> Callable[[int], object]:
    """Render a seed with diffusers, with torch's own noise."""
    pipeline: Any = reference(folder).pipeline
    pipeline.scheduler = EulerAncestralDiscreteScheduler.from_config(pipeline.scheduler.config)

    def render(seed: int) -> object:
        wanted = request(seed)
        return pipeline(
            wanted.prompt,
            negative_prompt=wanted.negative_prompt,
            width=SIDE,
            height=SIDE,
            num_inference_steps=STEPS,
            guidance_scale=GUIDANCE,
            generator=torch.Generator().manual_seed(seed),
        )

    return render


@dataclass
class Clock:
    """When each call of a network began and ended, when each step ended; in seconds."""

    calls: list[tuple[float, float]] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)

    def outside(self) -> list[tuple[float, float]]:
        """Seconds of each whole step, and those of it spent outside the networks."""
        found = []
        for before, after in pairwise(self.steps):
            inside = sum(end - start for start, end in self.calls if before <= start < after)
            found.append((after - before, after - before - inside))
        return found


@contextmanager
def watched_networks(clock: Clock) -> Iterator[None]:
    """Within the block every call of ONNX Runtime is timed."""
    import onnxruntime  # here: the engine sets its environment before it loads it

    run = onnxruntime.InferenceSession.run

    def timed(*given: Any) -> Any:  # noqa: ANN401 (ONNX Runtime is not annotated)
        start = perf_counter()
        outputs = run(*given)
        clock.calls.append((start, perf_counter()))
        return outputs

    with patch.object(onnxruntime.InferenceSession, "run", timed):
        yield


def watched_picture(engine: Engine, seed: int) -> list[tuple[float, float]]:
    """Every step of a picture but the first: seconds of it, seconds outside the networks."""
    clock = Clock()
    with watched_networks(clock):
        list(engine.render_many([request(seed)], lambda *_: clock.steps.append(perf_counter())))
    return clock.outside()


def measure_outside(engine: Engine, pictures: int) -> dict[str, float]:
    """Medians over the steps of some pictures, in milliseconds."""
    steps = [step for seed in range(pictures) for step in watched_picture(engine, seed)]
    step, outside = (1e3 * median(column) for column in zip(*steps, strict=True))
    return {"step_ms": step, "outside_ms": outside, "outside_percent": 100 * outside / step}


def noise_ms(repeats: int = 50) -> float:
    """Drawing one step's noise, which happens on a thread beside the network."""
    count = LATENT_CHANNELS * (SIDE // VAE_FACTOR) ** 2
    return 1e3 * median([timed(lambda: normals(0, 1, count)) for _ in range(repeats)])


def timed(work: Callable[[], object]) -> float:
    """Seconds the work takes."""
    start = perf_counter()
    work()
    return perf_counter() - start


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=7, help="of each, after two to warm up")
    parser.add_argument("--threads", type=int, default=cores(), help="of both")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    ours: list[float] = []
    theirs: list[float] = []
    with work_folder() as folder:
        model, bundle = small_model("sdxl-tiny", folder)
        render = rival(model)
        with Engine.open(bundle, threads=arguments.threads) as engine:
            for seed in range(arguments.pictures + 2):
                ours.append(timed(lambda seed=seed: engine.render(request(seed))))
                theirs.append(timed(lambda seed=seed: render(seed)))
            step = measure_outside(engine, 3) | {"noise_ms": noise_ms()}
    samples = {"sakuga": ours[2:], "diffusers": theirs[2:]}
    rate, rival_rate = (1 / median(values) for values in samples.values())
    share = f"{step['outside_ms']:.3f} ms of {step['step_ms']:.1f} ms a step"
    figures = [
        Figure("against diffusers", rate / rival_rate, "times", BAR_TIMES, "at least"),
        Figure("sakuga", rate, "pictures/s", beside=f"{arguments.threads} threads"),
        Figure("diffusers", rival_rate, "pictures/s", beside=f"{arguments.threads} threads"),
        Figure(
            "outside the networks", step["outside_percent"], "%", BAR_OUTSIDE_PERCENT, beside=share
        ),
        Figure("noise of a step, drawn beside the network", step["noise_ms"], "ms"),
    ]
    report("throughput", figures, {"seconds": samples, "step": step})


if __name__ == "__main__":
    main()
