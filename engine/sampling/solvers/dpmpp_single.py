"""DPM-Solver++ with two evaluations a step."""

import math

from sakuga.engine.sampling.rows import Rows
from sakuga.engine.sampling.solvers.euler import ancestral_step
from sakuga.engine.sampling.table import Path, SamplerTable


def dpmpp_2s_ancestral(path: Path) -> SamplerTable:
    """DPM-Solver++(2S) to σ_down, then fresh noise: `sample_dpmpp_2s_ancestral` of k-diffusion.

    Lu et al. 2022 (arXiv:2211.01095), algorithm 1, with r = 1/2.
    """
    rows = Rows(path, memory=1)
    for step in path:
        x, denoised = rows.evaluate(step.sigma, step.timestep)
        sigma_down, sigma_up = ancestral_step(step.sigma, step.end, path.eta)
        if sigma_down > 0:
            h = math.log(step.sigma / sigma_down)
            middle = math.sqrt(step.sigma * sigma_down)
            rows.step(middle / step.sigma * x - math.expm1(-h / 2) * denoised, keep=x)
            _, denoised = rows.evaluate(middle, path.timestep_at(middle))
            denoised = sigma_down / step.sigma * rows.kept() - math.expm1(-h) * denoised
        if step.end > 0:
            denoised = denoised + rows.noise(sigma_up)
        rows.step(denoised)
    return rows.table()
