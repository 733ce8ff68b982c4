"""The noise levels a model was trained at.

σ is the noise level in the variance-exploding form x = x₀ + σ·noise; t is the training timestep,
0 to 999 in Stable Diffusion, which may be fractional. All float64.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

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


def zero_terminal_snr(noise: NoiseSchedule, last: float) -> NoiseSchedule:
    """The schedule of a model whose last trained level is pure noise.

    √ᾱ is shifted so that it ends at 0 and scaled so that it begins where it did. The last ᾱ is
    `last` instead of 0, for at 0 there is no σ. Source: Lin et al. 2023 (arXiv:2305.08891),
    algorithm 1.
    """
    root = np.sqrt(noise.alphas_cumprod)
    rescaled = ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
    rescaled[-1] = last
    return NoiseSchedule(rescaled)
