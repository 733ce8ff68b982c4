"""Noise levels: the schedule a model was trained with, and the levels a sampler visits.

σ is the noise level in the variance-exploding form x = x₀ + σ·noise; t is the training timestep,
0 to 999 in Stable Diffusion, which may be fractional. All float64.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.errors import UsageError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class NoiseSchedule:
    """The levels a model was trained at. `alphas_cumprod`: ᾱ of every timestep, [length]."""

    alphas_cumprod: Array

    @property
    def length(self) -> int:
        """Number of trained timesteps, 1000 in Stable Diffusion."""
        return len(self.alphas_cumprod)

    @cached_property
    def grid(self) -> Array:
        """The trained timesteps, 0 upward, [length]."""
        return np.arange(self.length, dtype=np.float64)

    @cached_property
    def sigmas(self) -> Array:
        """σ = √((1 − ᾱ)/ᾱ) of every timestep, rising, [length]."""
        return np.sqrt((1 - self.alphas_cumprod) / self.alphas_cumprod)

    @cached_property
    def log_sigmas(self) -> Array:
        """ln σ of every timestep, [length]."""
        return np.log(self.sigmas)

    @property
    def sigma_min(self) -> float:
        """σ of timestep 0."""
        return float(self.sigmas[0])

    @property
    def sigma_max(self) -> float:
        """σ of the last timestep."""
        return float(self.sigmas[-1])

    def sigma(self, timestep: Array) -> Array:
        """σ at fractional timesteps: ln σ is interpolated, as in k-diffusion."""
        return np.exp(np.interp(timestep, self.grid, self.log_sigmas))

    def timestep(self, sigma: Array) -> Array:
        """The fractional timestep of each σ, the inverse of `sigma`; σ outside is clamped."""
        return np.interp(np.log(sigma), self.log_sigmas, self.grid)

    def nearest_timestep(self, sigma: Array) -> Array:
        """The whole timestep nearest to each σ in ln σ; halfway it is the lower one.

        Between two timesteps ln σ is linear in t, so nearness can be read off t. Rounding t first
        keeps a tie a tie: ComfyUI and Forge break theirs by the last bit of a float32.
        """
        return np.ceil(np.round(self.timestep(sigma), 6) - 0.5) + 0.0  # ceil leaves -0 at t = 0


@cache
def stable_diffusion_schedule() -> NoiseSchedule:
    """The schedule of SD1.5 and SDXL ("scaled linear"): √β linear from √0.00085 to √0.012."""
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    return NoiseSchedule(np.cumprod(1 - betas))


@dataclass(frozen=True)
class Schedule:
    """The levels of one picture: σ of every step and a final 0, [n + 1]; their timesteps, [n]."""

    sigmas: Array
    timesteps: Array


def normal(noise: NoiseSchedule, steps: int) -> Schedule:
    """A1111's "Uniform", ComfyUI's "normal": t evenly from the last to 0, ln σ interpolated."""
    timesteps = np.linspace(noise.length - 1, 0, steps)
    return _schedule(noise.sigma(timesteps), timesteps)


def leading(noise: NoiseSchedule, steps: int) -> Schedule:
    """diffusers' "leading" with `steps_offset` 1: multiples of ⌊length/n⌋, plus one."""
    timesteps = np.arange(steps, dtype=np.float64)[::-1] * (noise.length // steps) + 1.0
    return _schedule(_linear_sigma(noise, timesteps), timesteps)


def trailing(noise: NoiseSchedule, steps: int) -> Schedule:
    """diffusers' "trailing": from the length down in steps of length/n, rounded, minus one."""
    # arange's own rounding decides the halves, and now and then yields a value too many.
    ends: Array = np.arange(noise.length, 0, -noise.length / steps, dtype=np.float64)[:steps]
    timesteps = np.round(ends) - 1.0
    return _schedule(_linear_sigma(noise, timesteps), timesteps)


def linspace(noise: NoiseSchedule, steps: int) -> Schedule:
    """diffusers' "linspace": t evenly from 0 to the last, σ itself interpolated.

    One step is t = 0.
    """
    timesteps: Array = np.linspace(0, noise.length - 1, steps, dtype=np.float64)[::-1]
    return _schedule(_linear_sigma(noise, timesteps), timesteps)


SCHEDULES: dict[str, Callable[[NoiseSchedule, int], Schedule]] = {
    "normal": normal,
    "leading": leading,
    "trailing": trailing,
    "linspace": linspace,
}


def make_schedule(name: str, noise: NoiseSchedule, steps: int) -> Schedule:
    """The schedule called `name` with `steps` levels before the final 0.

    Raises UsageError for an unknown name and for steps outside 1 to `noise.length`.
    """
    if name not in SCHEDULES:
        raise UsageError(
            f"There is no schedule called {name!r}.", hint=f"Use one of {', '.join(SCHEDULES)}."
        )
    if not 1 <= steps <= noise.length:
        raise UsageError(
            f"A picture cannot be made in {steps} steps.",
            note=f"The model knows {noise.length} noise levels.",
            hint=f"Ask for 1 to {noise.length} steps; 20 to 50 are usual.",
        )
    return SCHEDULES[name](noise, steps)


def _linear_sigma(noise: NoiseSchedule, timesteps: Array) -> Array:
    return np.interp(timesteps, noise.grid, noise.sigmas)


def _schedule(sigmas: Array, timesteps: Array) -> Schedule:
    return Schedule(np.append(sigmas, 0.0), timesteps)
