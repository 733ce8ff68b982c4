"""Restart sampling: part of the way again, from fresh noise."""

import itertools
import math

import numpy as np

from sakuga.engine.sampling.levels import karras_sigmas
from sakuga.engine.sampling.noise_schedule import Array
from sakuga.engine.sampling.rows import Form, Rows
from sakuga.engine.sampling.solvers.heun import heun_step
from sakuga.engine.sampling.table import Path, SamplerTable, Step

LOW, HIGH = 0.1, 2.0  # σ a restart goes back from and up to
FEWEST = 20  # steps that are worth a restart


def restart(path: Path) -> SamplerTable:
    """Heun steps down, and from 20 steps up 9 of them spent on going from σ 0.1 back to 2 and down.

    From 36 steps it goes back twice, with a quarter of the steps each. Xu et al. 2023, in the form
    of A1111's `restart_sampler`.
    """
    rows = Rows(path, memory=1)
    latent: Form | None = None
    before = 0.0
    for sigma, end in _intervals(path.schedule.sigmas):
        if latent is not None:
            jump = rows.noise(math.sqrt(sigma**2 - before**2)) if sigma > before else 0.0
            rows.step(latent + jump)
        step = Step(sigma, end, path.timestep_at(sigma), path.timestep_at(end) if end else 0.0, 1.0)
        latent = heun_step(rows, step)
        before = end
    assert latent is not None
    rows.step(latent)
    return rows.table()


def _intervals(sigmas: Array) -> list[tuple[float, float]]:
    """(σ from, σ to) of every Heun step."""
    steps = len(sigmas) - 1
    if steps < FEWEST:
        return list(itertools.pairwise(sigmas.tolist()))
    again, times = (9, 1) if steps < 36 else (steps // 4, 2)
    down = np.append(karras_sigmas(sigmas[-2], sigmas[0], steps - again * times), 0.0)
    low, high = (int(np.argmin(np.abs(down - sigma))) for sigma in (LOW, HIGH))
    once = karras_sigmas(down[low], down[high], again + 1) if high < low else down[:0]
    intervals = list(itertools.pairwise(down.tolist()))
    return intervals[:low] + times * list(itertools.pairwise(once.tolist())) + intervals[low:]
