"""Euler's method, plain and ancestral."""

import math

from sakuga.engine.sampling.rows import Rows
from sakuga.engine.sampling.table import Path, SamplerTable


def euler(path: Path) -> SamplerTable:
    """Euler's method on dx/dσ = (x − D)/σ (Karras et al. 2022, algorithm 2 without churn)."""
    rows = Rows(path)
    for step in path:
        x, denoised = rows.evaluate(step.sigma, step.timestep)
        derivative = (x - denoised) / step.sigma
        rows.step(x + (step.end - step.sigma) * derivative)
    return rows.table()


def euler_ancestral(path: Path) -> SamplerTable:
    """Euler down to σ_down, then fresh noise of σ_up: k-diffusion's `sample_euler_ancestral`."""
    rows = Rows(path)
    for step in path:
        x, denoised = rows.evaluate(step.sigma, step.timestep)
        sigma_down, sigma_up = ancestral_step(step.sigma, step.end, path.eta)
        x = x + (sigma_down - step.sigma) * (x - denoised) / step.sigma
        if step.end > 0:
            x = x + rows.noise(sigma_up)
        rows.step(x)
    return rows.table()


def ancestral_step(sigma: float, sigma_next: float, eta: float) -> tuple[float, float]:
    """(σ_down, σ_up) with σ_down² + σ_up² = σ_next² and σ_up the share `eta` asks for."""
    whole = sigma_next * math.sqrt(max(sigma**2 - sigma_next**2, 0.0)) / sigma
    sigma_up = min(sigma_next, eta * whole)
    return math.sqrt(max(sigma_next**2 - sigma_up**2, 0.0)), sigma_up
