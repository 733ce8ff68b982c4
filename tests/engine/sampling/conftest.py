"""What the tests of tables share: a table played in float64, draws, and a smooth network."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from sakuga.engine.sampling.table import SamplerTable
from sakuga.kernels.philox import normals

F64 = NDArray[np.float64]
Network = Callable[[F64, float], F64]  # the scaled model input and the timestep
Draw = Callable[[int], F64]
Play = Callable[[SamplerTable, Network, Draw], F64]

SHAPE = (1, 4, 8, 8)


@pytest.fixture(scope="session")
def play() -> Play:
    """Samples one picture by the table alone, as its docstring says, in float64."""

    def run(table: SamplerTable, network: Network, draw: Draw) -> F64:
        x = table.init_scale * draw(0)
        histories = np.full((table.histories, *x.shape), np.nan)
        for row in range(table.evaluations):
            out = network(table.c_in[row] * x, float(table.timestep[row]))
            new = table.a[row] * x + table.b[row] * out
            if table.c[row]:
                new = new + table.c[row] * draw(int(table.draw[row]))
            for weight, history in zip(table.d[row], histories, strict=True):
                if weight:
                    new = new + weight * history
            if table.e[row] or table.f[row]:
                histories[table.write[row]] = table.e[row] * x + table.f[row] * out
            x = new
        return x

    return run


@pytest.fixture(scope="session")
def draw() -> Draw:
    """Numbered standard normal draws; draw 0 is the first latent's."""
    return lambda number: normals(7, number, int(np.prod(SHAPE))).reshape(SHAPE).astype(np.float64)


@pytest.fixture(scope="session")
def smooth_network() -> Network:
    """Depends on its input and on the timestep, and is smooth in both."""
    return lambda inputs, timestep: np.tanh(inputs) / 3 + inputs * (timestep / 1000) + 0.01
