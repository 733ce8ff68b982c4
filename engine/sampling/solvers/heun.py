"""Heun's method: two evaluations a step."""

from sakuga.engine.sampling.rows import Form, Rows
from sakuga.engine.sampling.table import Path, SamplerTable, Step


def heun(path: Path) -> SamplerTable:
    """Euler to the end of the step, then again with the mean of both derivatives.

    Karras et al. 2022, algorithm 1; one evaluation where the step ends at 0.
    """
    rows = Rows(path, memory=1)
    for step in path:
        rows.step(heun_step(rows, step))
    return rows.table()


def heun_step(rows: Rows, step: Step) -> Form:
    """The latent at the end of the step, not yet written."""
    x, denoised = rows.evaluate(step.sigma, step.timestep)
    dt = step.end - step.sigma
    derivative = (x - denoised) / step.sigma
    if step.end == 0:
        return x + dt * derivative
    rows.step(x + dt * derivative, keep=x + dt / 2 * derivative)
    x, denoised = rows.evaluate(step.end, step.end_timestep)
    return rows.kept() + dt / 2 * (x - denoised) / step.end
