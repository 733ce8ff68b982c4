"""DPM-Solver-2 in σ: the derivative is taken half-way in ln σ. Two evaluations a step."""

import math

from sakuga.engine.sampling.rows import Rows
from sakuga.engine.sampling.solvers.euler import ancestral_step
from sakuga.engine.sampling.table import Path, SamplerTable


def dpm2(path: Path) -> SamplerTable:
    """k-diffusion's `sample_dpm_2` (Lu et al. 2022, algorithm 1)."""
    return _walk(path, eta=0.0)


def dpm2_ancestral(path: Path) -> SamplerTable:
    """The same down to σ_down, then fresh noise: k-diffusion's `sample_dpm_2_ancestral`."""
    return _walk(path, eta=path.eta)


def _walk(path: Path, eta: float) -> SamplerTable:
    rows = Rows(path, memory=1)
    for step in path:
        x, denoised = rows.evaluate(step.sigma, step.timestep)
        sigma_down, sigma_up = ancestral_step(step.sigma, step.end, eta)
        derivative = (x - denoised) / step.sigma
        if sigma_down == 0:
            rows.step(x - step.sigma * derivative)
            continue
        middle = math.sqrt(step.sigma * sigma_down)
        rows.step(x + (middle - step.sigma) * derivative, keep=x)
        x, denoised = rows.evaluate(middle, path.timestep_at(middle))
        derivative = (x - denoised) / middle
        rows.step(rows.kept() + (sigma_down - step.sigma) * derivative + rows.noise(sigma_up))
    return rows.table()
