"""A sampler's table as the records that kernels read, with the slot's guidance in it."""

import numpy as np
from numpy.typing import ArrayLike

from sakuga.engine.sampling.table import SamplerTable
from sakuga.kernels.launch import STEP_ROW, Records


def step_table(table: SamplerTable, weights: ArrayLike) -> Records:
    """STEP_ROW [evaluations + 1]: row 0 begins the picture, row k follows evaluation k.

    Each row's timestep and input scale are those of the evaluation after it. `weights`: of the
    slot's rows in ê = Σ weight · output, [rows] or [evaluations, rows].
    """
    rows = np.zeros(table.evaluations + 1, STEP_ROW)
    steps = rows[1:]
    for name in ("a", "b", "c", "e", "f", "write", "draw"):
        steps[name] = getattr(table, name)
    steps["d"][:, : table.histories] = table.d
    given = np.asarray(weights)
    steps["weights"][:, : given.shape[-1]] = given
    rows["a"][0] = table.init_scale
    rows["c_in"][:-1], rows["c_in"][-1] = table.c_in, 1
    rows["timestep"][:-1] = table.timestep
    return rows
