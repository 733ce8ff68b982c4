"""DDIM, with any η."""

from sakuga.engine.sampling.rows import Rows
from sakuga.engine.sampling.solvers.euler import ancestral_step
from sakuga.engine.sampling.table import Path, SamplerTable


def ddim(path: Path) -> SamplerTable:
    """Song et al. 2020, equation 12, divided by √ᾱ: x' = D + σ_down·ε + σ_up·noise.

    In this form its σ_t is the σ_up of an ancestral step. ComfyUI's DDIM is this on a path to 0;
    A1111's and diffusers' walk in variance-preserving form and stop short of 0.
    """
    rows = Rows(path)
    for step in path:
        x, denoised = rows.evaluate(step.sigma, step.timestep)
        sigma_down, sigma_up = ancestral_step(step.sigma, step.end, path.eta)
        towards = denoised + sigma_down * (x - denoised) / step.sigma
        rows.step(step.rescale * (towards + rows.noise(sigma_up)))
    return rows.table()
