"""The rows of a table, written down while a sampler walks its path.

Every sampler of the table is linear in what a row can read: the latent x, the network's output ê,
the row's noise and the three history buffers. So a latent, a denoised picture or a derivative is a
`Form`, the vector of its six coefficients, and a sampler's code is the paper's formula on Forms.
"""

import math

import numpy as np

from sakuga.engine.sampling.noise_schedule import Array
from sakuga.engine.sampling.table import Path, Prediction, SamplerTable

Form = Array

LATENT, OUTPUT, NOISE, *HISTORIES = np.eye(6)
ZERO = np.zeros(6)


class Rows:
    """Collects rows. `memory`: how many histories the sampler keeps, in a ring."""

    def __init__(self, path: Path, memory: int = 0) -> None:
        self._path = path
        self._memory = memory
        self._kept = 0  # how often a history was written
        self._draws = 0
        self._latents: list[Form] = []  # x' of every row
        self._histories: list[Form] = []  # h' of every row, ZERO where it writes none
        self._writes: list[int] = []
        self._numbers: list[int] = []
        self._sigmas: list[float] = []
        self._timesteps: list[float] = []

    def evaluate(self, sigma: float, timestep: float) -> tuple[Form, Form]:
        """Ask the network at σ: the latent x there, and D, what it denoises to."""
        self._sigmas.append(sigma)
        self._timesteps.append(timestep)
        c_skip, c_out = denoised(self._path.prediction, sigma)
        return LATENT, c_skip * LATENT + c_out * OUTPUT

    def kept(self, age: int = 1) -> Form:
        """What was kept the last time, or `age` times ago."""
        assert 1 <= age <= min(self._memory, self._kept)
        return HISTORIES[(self._kept - age) % self._memory]

    def noise(self, scale: float) -> Form:
        """The next draw of noise, scaled; it counts where the scale is 0 too, as in k-diffusion."""
        self._draws += 1
        return scale * self._path.s_noise * NOISE

    def step(self, latent: Form, keep: Form | None = None) -> None:
        """Go on with this latent; `keep` this over the oldest history."""
        self._latents.append(latent)
        self._numbers.append(self._draws if latent[2] else 0)
        if keep is None:
            self._histories.append(ZERO)
            self._writes.append(0)
        else:
            assert not keep[2:].any()  # a history is written from x and ê alone
            self._histories.append(keep)
            self._writes.append(self._kept % self._memory)
            self._kept += 1

    def table(self) -> SamplerTable:
        """All rows. Nothing is kept by the last."""
        latents = np.array(self._latents)
        histories = np.array([*self._histories[:-1], ZERO])
        return SamplerTable(
            steps=self._path.steps,
            levels=len(self._path.schedule.starts),
            a=latents[:, 0],
            b=latents[:, 1],
            c=latents[:, 2],
            d=latents[:, 3 : 3 + self._memory],
            e=histories[:, 0],
            f=histories[:, 1],
            write=np.array(self._writes),
            c_in=1 / np.sqrt(np.array(self._sigmas) ** 2 + 1),
            timestep=np.array(self._timesteps),
            draw=np.array(self._numbers),
            init_scale=self._path.init_scale,
            sigma=np.array(self._sigmas),
            picture=self._path.picture,
        )


def denoised(prediction: Prediction, sigma: float) -> tuple[float, float]:
    """(c_skip, c_out): what the network denoises to is D = c_skip·x + c_out·ê.

    ε: Ho et al. 2020. v: Salimans and Ho 2022, in the form x = x₀ + σ·noise.
    """
    if prediction == "epsilon":
        return 1.0, -sigma
    return 1 / (sigma**2 + 1), -sigma / math.sqrt(sigma**2 + 1)
