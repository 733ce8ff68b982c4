"""Whole pictures against diffusers' own pipelines: same weights, same seed, float32."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sakuga.engine.engine import Engine
from sakuga.engine.jobs.jobfile import read_jobs
from sakuga.engine.runtime.request import Request
from sakuga.export.demo import CARD_JOBS
from sakuga.export.reference_pipeline import SCHEDULERS, Reference, reference
from sakuga.export.relative_error import relative_error

# diffusers' schedulers hand torch tensors to np.array as NumPy 1 had it.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

LATENT_BAR, PSNR_BAR = 1e-3, 45.0

JOBS = {job.id: job for job in read_jobs(CARD_JOBS)}
SMALL = {"width": 128, "height": 160}


@pytest.fixture(scope="module")
def sdxl(sdxl_folder: Path) -> Reference:
    torch.set_num_threads(1)
    return reference(sdxl_folder)


def asked(job: str, sampler: str = "euler_a", **changes: object) -> Request:
    chosen = JOBS[job].request
    fields: dict[str, object] = {
        "prompt": chosen.prompt,
        "negative_prompt": chosen.negative_prompt,
        "width": chosen.width,
        "height": chosen.height,
        "steps": 28,
        "guidance": 7.0,
        "sampler": sampler,
        "seed": 42,
        "compat": "diffusers",
    }
    return Request(**fields | changes)  # type: ignore[arg-type]


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = np.mean((a.astype(np.float64) - b) ** 2)
    return math.inf if error == 0 else float(10 * np.log10(255**2 / error))


@pytest.mark.parametrize(
    ("sampler", "size"),
    [("euler_a", {}), *((name, SMALL) for name in SCHEDULERS if name != "euler_a")],
    ids=str,
)
def test_a_picture_of_28_steps(
    sdxl: Reference, sdxl_engine: Engine, sampler: str, size: dict[str, int]
) -> None:
    """The card's own size once; what adds up over steps is the same in a smaller picture."""
    request = asked("animagine-1girl", sampler, **size)
    latents, pixels = sdxl.latents_and_pixels(request)
    assert relative_error(sdxl_engine.denoise(request), latents) <= LATENT_BAR
    assert psnr(sdxl_engine.render(request).pixels, pixels) >= PSNR_BAR


@pytest.mark.parametrize(
    "changes",
    [
        {"negative_prompt": None},  # zeroed
        {"negative_prompt": ""},  # encoded
        {"guidance": 1.0},  # off
        {"guidance": 0.5},  # off too, in diffusers
        {"prompt": ""},
        {"prompt": "wow! 1girl!!, smile"},  # "!" is the second tokenizer's padding
        {"prompt": "1girl, " * 60},  # truncated
        {"clip_skip": 1},
        {"width": 384, "height": 160, "steps": 3},
        {"steps": 1},
    ],
    ids=str,
)
def test_each_rule_of_diffusers(
    sdxl: Reference, sdxl_engine: Engine, changes: dict[str, Any]
) -> None:
    fields: dict[str, Any] = {"steps": 4} | changes
    request = asked("animagine-asuka", **fields)
    assert relative_error(sdxl_engine.denoise(request), sdxl.latents(request)) <= LATENT_BAR


def test_other_rules_give_other_pictures(sdxl: Reference, sdxl_engine: Engine) -> None:
    wanted = sdxl.latents(asked("animagine-asuka", steps=4))
    for compat in ("a1111", "comfy"):
        got = sdxl_engine.denoise(asked("animagine-asuka", steps=4, compat=compat, rng="CPU"))
        assert relative_error(got, wanted) > 0.05
