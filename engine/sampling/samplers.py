"""Samplers as tables: one row of coefficients for each model evaluation.

A row means, with x the latent, ê the guided network output and h the history buffers,

    x' = a·x + b·ê + c·noise + Σ d_k·h_k        h'[write] = e·x + f·ê

A sampler is a function from a `Path` to a `SamplerTable` and an entry in `SAMPLERS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.errors import UsageError
from sakuga.engine.sampling.schedules import Array, Schedule
from sakuga.kernels.denoise_step import Coefficients

Prediction = Literal["epsilon", "v_prediction"]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class SamplerOptions:
    """`eta` scales the noise an ancestral step puts back, `s_noise` the numbers it draws."""

    eta: float = 1.0
    s_noise: float = 1.0


@dataclass(frozen=True)
class Path:
    """What a sampler walks along, what the network predicts there, and the first scale."""

    schedule: Schedule
    prediction: Prediction
    init_scale: float

    @property
    def sigma(self) -> Array:
        """σ each step starts from, [n]."""
        return self.schedule.sigmas[:-1]

    @property
    def sigma_next(self) -> Array:
        """σ each step ends at, [n]."""
        return self.schedule.sigmas[1:]


@dataclass(frozen=True)
class SamplerTable:
    """One row for each model evaluation; float64 columns [evaluations], `d` [evaluations, h].

    `c_in` scales the latent before that evaluation, `timestep` is what the network is told.
    `draw` numbers the noise a row adds: 0 where it needs none, for draw 0 is the first latent.
    `write` is the history buffer a row overwrites, if `e` or `f` is not zero. The first latent is
    `init_scale` times draw 0.
    """

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


def euler(path: Path, options: SamplerOptions) -> SamplerTable:
    """Euler's method on dx/dσ = (x − D)/σ (Karras et al. 2022, algorithm 2 without churn)."""
    return _along_derivative(path, path.sigma_next - path.sigma, np.zeros_like(path.sigma))


def euler_ancestral(path: Path, options: SamplerOptions) -> SamplerTable:
    """Euler down to σ_down, then fresh noise of σ_up: a step of k-diffusion's "Euler a"."""
    sigma_down, sigma_up = ancestral_step(path.sigma, path.sigma_next, options.eta)
    return _along_derivative(path, sigma_down - path.sigma, options.s_noise * sigma_up)


def ancestral_step(sigma: Array, sigma_next: Array, eta: float) -> tuple[Array, Array]:
    """(σ_down, σ_up) with σ_down² + σ_up² = σ_next² and σ_up the share `eta` asks for."""
    ancestral = sigma_next * np.sqrt(np.maximum(sigma**2 - sigma_next**2, 0)) / sigma
    sigma_up = np.minimum(sigma_next, eta * ancestral)
    return np.sqrt(np.maximum(sigma_next**2 - sigma_up**2, 0)), sigma_up


def denoised(prediction: Prediction, sigma: Array) -> tuple[Array, Array]:
    """(c_skip, c_out): what the network denoises to is D = c_skip·x + c_out·ê.

    ε: Ho et al. 2020. v: Salimans and Ho 2022, in the form x = x₀ + σ·noise.
    """
    if prediction == "epsilon":
        return np.ones_like(sigma), -sigma
    return 1 / (sigma**2 + 1), -sigma / np.sqrt(sigma**2 + 1)


def _along_derivative(path: Path, dt: Array, noise: Array) -> SamplerTable:
    """x' = x + dt·(x − D)/σ + noise."""
    c_skip, c_out = denoised(path.prediction, path.sigma)
    steps = len(dt)
    draws = np.where(noise > 0, np.arange(1, steps + 1), 0)
    zeros = np.zeros(steps)
    return SamplerTable(
        a=1 + dt * (1 - c_skip) / path.sigma,
        b=-dt * c_out / path.sigma,
        c=noise,
        d=np.zeros((steps, 0)),
        e=zeros,
        f=zeros,
        write=np.zeros(steps, np.int64),
        c_in=1 / np.sqrt(path.sigma**2 + 1),
        timestep=path.schedule.timesteps,
        draw=draws,
        init_scale=path.init_scale,
    )


@dataclass(frozen=True)
class Sampler:
    """`label` is A1111's name of it, written into pictures; `spellings` are other known names."""

    label: str
    spellings: tuple[str, ...]
    table: Callable[[Path, SamplerOptions], SamplerTable]


SAMPLERS: dict[str, Sampler] = {
    "euler_a": Sampler(
        "Euler a",
        (
            "euler_ancestral",
            "k_euler_a",
            "k_euler_ancestral",
            "sample_euler_ancestral",
            "EulerAncestralDiscreteScheduler",
        ),
        euler_ancestral,
    ),
    "euler": Sampler("Euler", ("k_euler", "sample_euler", "EulerDiscreteScheduler"), euler),
}


def sampler_name(spelling: str) -> str:
    """The key of `SAMPLERS` a person means; case, spaces, dashes and underscores do not matter.

    Raises UsageError that names the known samplers and the nearest one.
    """
    known = {
        _letters(text): name
        for name, sampler in SAMPLERS.items()
        for text in (name, sampler.label, *sampler.spellings)
    }
    letters = _letters(spelling)
    if letters in known:
        return known[letters]
    labels = ", ".join(sampler.label for sampler in SAMPLERS.values())
    near = get_close_matches(letters, known, n=1)
    raise UsageError(
        f"There is no sampler called {spelling!r}.",
        note=f"Known samplers: {labels}.",
        hint=f"Did you mean {SAMPLERS[known[near[0]]].label!r}?" if near else "",
    )


def _letters(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum() or letter == "+")
