"""What a sampler is given and what it gives: a path, and a table of coefficients.

A row of a table means, with x the latent, ê the guided network output and h the history buffers,

    x' = a·x + b·ê + c·noise + Σ d_k·h_k        h'[write] = e·x + f·ê
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.sampling.levels import Schedule
from sakuga.engine.sampling.noise_schedule import Array
from sakuga.kernels.denoise_step import Coefficients

Prediction = Literal["epsilon", "v_prediction"]
Integers = NDArray[np.int64]


class Step(NamedTuple):
    """From σ to the σ of `end`, and the timesteps there; the last end's timestep is 0.

    `rescale`: what the latent is multiplied by afterwards, 1 but for variance-preserving paths.
    """

    sigma: float
    end: float
    timestep: float
    end_timestep: float
    rescale: float


@dataclass(frozen=True)
class Path:
    """What a sampler walks along, and how.

    `steps`: as people count them. `prediction`: what the network predicts. `init_scale` of the
    noise and `picture` of a picture's latent make the first latent. `timestep_at`: the timestep of
    a σ that the schedule does not visit. `eta` scales the noise a step puts back, `s_noise` the
    numbers it draws.
    """

    schedule: Schedule
    steps: int
    prediction: Prediction
    init_scale: float
    timestep_at: Callable[[float], float]
    eta: float = 0.0
    s_noise: float = 1.0
    picture: float = 0.0

    def __iter__(self) -> Iterator[Step]:
        """Every step in turn."""
        starts, ends = self.schedule.starts.tolist(), self.schedule.ends.tolist()
        rescales = _rescales(self.schedule).tolist()
        timesteps = [*self.schedule.timesteps.tolist(), 0.0]
        pairs = itertools.pairwise(timesteps)
        for sigma, end, (timestep, after), rescale in zip(
            starts, ends, pairs, rescales, strict=True
        ):
            yield Step(sigma, end, timestep, after, rescale)


def _rescales(schedule: Schedule) -> Array:
    """√((1 + σ²)/(1 + σ_end²)) with σ the next step's: x/√(1 + σ²) stays as it is."""
    if not schedule.variance_preserving:
        return np.ones_like(schedule.starts)
    return np.sqrt((1 + np.append(schedule.starts[1:], 0.0) ** 2) / (1 + schedule.ends**2))


@dataclass(frozen=True)
class SamplerTable:
    """One row for each model evaluation; float64 columns [evaluations], `d` [evaluations, h].

    `steps`: as people count them; `levels`: how many it walks, fewer where a picture goes a part
    of the way. `c_in` scales the latent before that evaluation, `timestep` is what the network is
    told. `draw` numbers the noise a row adds: 0 where it needs none, for draw 0 is the first
    latent's. `write` is the history buffer a row overwrites, if `e` or `f` is not zero. The first
    latent is `init_scale` times draw 0, and `picture` times the latent of a picture where one is
    given. `sigma`: the noise level of the latent at that evaluation.
    """

    steps: int
    levels: int
    a: Array
    b: Array
    c: Array
    d: Array
    e: Array
    f: Array
    write: Integers
    c_in: Array
    timestep: Array
    draw: Integers
    init_scale: float
    sigma: Array
    picture: float = 0.0

    @property
    def evaluations(self) -> int:
        """How often the network is asked."""
        return len(self.a)

    @property
    def histories(self) -> int:
        """How many history buffers a picture needs."""
        return int(self.d.shape[1])

    def coefficients(self, row: int) -> Coefficients:
        """What the step after evaluation `row` does; `c_in` is already the next evaluation's."""
        last = row == self.evaluations - 1
        return Coefficients(
            a=float(self.a[row]),
            b=float(self.b[row]),
            c=float(self.c[row]),
            d=tuple(self.d[row].tolist()),
            e=float(self.e[row]),
            f=float(self.f[row]),
            write=int(self.write[row]),
            c_in=1.0 if last else float(self.c_in[row + 1]),
        )
