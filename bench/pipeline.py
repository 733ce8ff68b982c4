"""Are whole pictures those of diffusers? Latents and pixels after 28 steps against its pipeline.

    python bench/pipeline.py [--jobs 2]

Networks that agree prove nothing about prompts, schedules, guidance and noise; this does. Same
weights, same noise, compat diffusers; prompts of the model cards. The bars: final latents
within 1e-3, pictures at 45 dB or better. Two correct float32 pipelines drift apart by about 1e-5.
"""

import argparse
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from common import Figure, report, small_model, work_folder
from numpy.typing import NDArray

from sakuga.engine.engine import Engine
from sakuga.engine.jobs.job import Job
from sakuga.engine.jobs.jobfile import read_jobs
from sakuga.engine.runtime.request import Request
from sakuga.export.demo import CARD_JOBS
from sakuga.export.reference_pipeline import reference
from sakuga.export.relative_error import relative_error
from sakuga.profiles.families import FAMILIES

LATENT_BAR, PICTURE_BAR = 1e-3, 45.0
# SDXL with Euler a at every job of the cards; the other combinations at a few.
PLAN = {
    ("sdxl-tiny", "euler_a"): 12,
    ("sdxl-tiny", "euler"): 3,
    ("sd15-tiny", "euler_a"): 3,
    ("sd15-tiny", "euler"): 3,
}


def requests(family: str, sampler: str, jobs: list[Job]) -> Iterator[Request]:
    """The jobs as the bar asks: 28 steps, guidance 7, compat diffusers, the family's sizes."""
    buckets = FAMILIES[family].buckets
    for place, job in enumerate(jobs):
        request = replace(job.request, steps=28, guidance=7.0, sampler=sampler, compat="diffusers")
        size = buckets[place % len(buckets)]
        own = family == "sdxl-tiny"  # the jobs are of its sizes
        yield request if own else replace(request, width=size.width, height=size.height)


def psnr(found: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio in dB of bytes, infinite where they are equal."""
    error = float(np.mean((found.astype(np.float64) - wanted) ** 2))
    return 10 * math.log10(255**2 / error) if error else math.inf


def compare(
    family: str, sampler: str, jobs: list[Job], model: Path, bundle: Path
) -> list[dict[str, float | str]]:
    """Latent error and PSNR of every job."""
    rows: list[dict[str, float | str]] = []
    golden = reference(model)
    with Engine.open(bundle) as engine:
        for job, request in zip(jobs, requests(family, sampler, jobs), strict=True):
            error = relative_error(engine.denoise(request), golden.latents(request))
            ratio = psnr(engine.render(request).pixels, golden.pixels(request))
            size = f"{request.width}x{request.height}"
            rows.append({"job": job.id, "size": size, "latent_error": error, "psnr_db": ratio})
    return rows


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=12, help="at most this many jobs of each kind")
    limit = parser.parse_args().jobs
    figures: list[Figure] = []
    details: dict[str, list[dict[str, float | str]]] = {}
    with work_folder() as folder:
        models = {family: small_model(family, folder) for family, _ in PLAN}
        for (family, sampler), count in PLAN.items():
            jobs = read_jobs(CARD_JOBS)[: min(count, limit)]
            name = f"{family} {sampler}"
            rows = details[name] = compare(family, sampler, jobs, *models[family])
            error = max(float(row["latent_error"]) for row in rows)
            ratio = min(float(row["psnr_db"]) for row in rows)
            beside = f"worst of {len(rows)} pictures"
            figures += [
                Figure(f"{name} latents", error, "relative", LATENT_BAR, beside=beside),
                Figure(f"{name} pixels", ratio, "dB", PICTURE_BAR, "at least", beside),
            ]
    report("pipeline", figures, {"pictures": details})


if __name__ == "__main__":
    main()
