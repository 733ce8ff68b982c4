"""A sampler's table as the records that kernels read, with the slot's guidance in it."""

from collections.abc import Sequence

import numpy as np

from sakuga.engine.sampling.masking import Holds
from sakuga.engine.sampling.noise.plan import NoisePlan
from sakuga.engine.sampling.table import SamplerTable
from sakuga.kernels.launch import GIVEN, MIXES, STEP_ROW, Records


def step_table(
    table: SamplerTable,
    weights: Sequence[Sequence[float]],
    noise: NoisePlan,
    first_given: bool,
    holds: Holds | None = None,
) -> Records:
    """STEP_ROW [evaluations + 1]: row 0 begins the picture, row k follows evaluation k.

    Each row's timestep and input scale are those of the evaluation after it. `weights`: of the
    slot's rows in ê = Σ weight · output, for each evaluation. `first_given`: whether the first
    latent's noise is. `holds`: what keeps the part of a picture outside a mask.
    """
    rows = np.zeros(table.evaluations + 1, STEP_ROW)
    steps = rows[1:]
    for name in ("a", "b", "c", "e", "f", "write"):
        steps[name] = getattr(table, name)
    draws = GIVEN if noise.rng.later == "CPU" else table.draw - noise.skipped
    steps["draw"] = np.where(table.draw > 0, draws, 0)
    steps["d"][:, : table.histories] = table.d
    for step, each in zip(steps, weights, strict=True):
        step["weights"][: len(each)] = each
    rows["a"][0], rows["draw"][0] = table.init_scale, GIVEN if first_given else 0
    rows["b"][0] = table.picture
    if holds is not None:
        for name in ("p", "q", *MIXES):
            rows[name] = getattr(holds, name)
    rows["c_in"][:-1], rows["c_in"][-1] = table.c_in, 1
    rows["timestep"][:-1] = table.timestep
    return rows
