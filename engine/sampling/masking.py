"""How each tool keeps what lies outside a mask, as the mixes of `kernels.guide` at each evaluation.

Sources: A1111's `CFGDenoiser` (modules/sd_samplers_cfg_denoiser.py) and its DDIM and UniPC, which
mask what they see; ComfyUI's `KSamplerX0Inpaint` (comfy/samplers.py); diffusers' inpainting
pipelines, which mix the latent after each step.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sakuga.engine.sampling.noise_schedule import Array
from sakuga.engine.sampling.rows import denoised
from sakuga.engine.sampling.table import Prediction, SamplerTable

MaskRule = Literal["denoised", "seen", "seen_and_denoised", "latent"]


@dataclass(frozen=True)
class Holds:
    """Columns for a table's rows, [evaluations + 1]: row 0 begins the picture, row k is what
    follows evaluation k. `seen`, `kept` and `shown` are [evaluations + 1, 2]."""

    p: Array
    q: Array
    seen: Array
    kept: Array
    shown: Array


def holds(table: SamplerTable, prediction: Prediction, rule: MaskRule) -> Holds:
    """What holds a picture with a mask.

    "denoised": what the network denoises to is the picture outside the mask. "seen": the network
    is shown the picture there, without noise. "seen_and_denoised": with its noise, and the former.
    "latent": the latent is the picture with its noise there, at every level.
    """
    count, sigma = table.evaluations, table.sigma
    found = Holds(*(np.zeros((count + 1, *shape)) for shape in ((), (), (2,), (2,), (2,))))
    if rule in ("denoised", "seen_and_denoised"):
        for row, level in enumerate(sigma.tolist(), start=1):
            c_skip, c_out = denoised(prediction, level)
            found.p[row], found.q[row] = 1 / c_out, -c_skip / c_out
    if rule == "seen_and_denoised":
        found.shown[:-1, 0], found.shown[:-1, 1] = 1, sigma
        found.seen[1:] = found.shown[:-1]
    if rule == "seen":
        found.shown[:-1, 0] = np.sqrt(1 + sigma**2)
    if rule == "latent":
        found.kept[1:-1, 0], found.kept[1:-1, 1] = 1, sigma[1:]
    if rule != "seen_and_denoised":
        found.kept[-1, 0] = 1
    return found
