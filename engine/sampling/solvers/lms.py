"""Linear multistep of order 4 (Adams–Bashforth with uneven steps)."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from sakuga.engine.sampling.rows import Form, Rows
from sakuga.engine.sampling.table import Path, SamplerTable

ORDER = 4


def lms(path: Path) -> SamplerTable:
    """k-diffusion's `sample_lms`: the polynomial through the last derivatives, integrated."""
    return _walk(path, lambda latent, denoised: latent)


def lms_to_denoised(path: Path) -> SamplerTable:
    """ComfyUI's, where the step to 0 takes what the network denoises to."""
    return _walk(path, lambda latent, denoised: denoised)


def _walk(path: Path, last: Callable[[Form, Form], Form]) -> SamplerTable:
    rows = Rows(path, memory=ORDER - 1)
    sigmas: list[float] = []  # of the derivatives known, newest first
    for step in path:
        x, denoised = rows.evaluate(step.sigma, step.timestep)
        derivative = (x - denoised) / step.sigma
        sigmas = [step.sigma, *sigmas][:ORDER]
        derivatives = [derivative, *(rows.kept(age) for age in range(1, len(sigmas)))]
        latent = x + np.dot(_weights(sigmas, step.end), derivatives)
        rows.step(last(latent, denoised) if step.end == 0 else latent, keep=derivative)
    return rows.table()


def _weights(sigmas: Sequence[float], end: float) -> list[float]:
    """∫ of each Lagrange polynomial from the newest σ to the end.

    They are cubic at most, so Gauss and Legendre's two points give the integral exactly.
    """
    half = (end - sigmas[0]) / 2
    points = [sigmas[0] + half * (1 + sign / math.sqrt(3)) for sign in (-1, 1)]
    return [half * sum(_lagrange(sigmas, j, point) for point in points) for j in range(len(sigmas))]


def _lagrange(sigmas: Sequence[float], j: int, point: float) -> float:
    others = [sigma for k, sigma in enumerate(sigmas) if k != j]
    return math.prod((point - sigma) / (sigmas[j] - sigma) for sigma in others)
