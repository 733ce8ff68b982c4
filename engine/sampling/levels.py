"""The noise levels a sampler visits: what A1111 and ComfyUI offer. All float64."""

from dataclasses import dataclass

import numpy as np

from sakuga.engine.sampling.noise_schedule import Array, NoiseSchedule


@dataclass(frozen=True)
class Schedule:
    """The steps of one picture: the σ each starts from and ends at, its timestep; all [n].

    `ends` differs from the next step's `starts` only in diffusers' DDIM. `variance_preserving`:
    the tool keeps latents as x/√(1 + σ²) and leaves the last one so; elsewhere the last σ is 0.
    """

    starts: Array
    ends: Array
    timesteps: Array
    variance_preserving: bool = False

    @property
    def sigmas(self) -> Array:
        """σ of every step and the last one's end, [n + 1]."""
        return np.append(self.starts, self.ends[-1])


def to_zero(sigmas: Array, timesteps: Array) -> Schedule:
    """Steps from each σ to the next, and from the last to 0."""
    return Schedule(sigmas, np.append(sigmas[1:], 0.0), timesteps)


def without_penultimate(schedule: Schedule) -> Schedule:
    """The same without the last level before the end, as A1111 and ComfyUI do for DPM2."""
    ends = np.append(schedule.ends[:-2], schedule.ends[-1:])
    return Schedule(schedule.starts[:-1], ends, schedule.timesteps[:-1])


def normal(noise: NoiseSchedule, steps: int) -> Schedule:
    """A1111's "Uniform", ComfyUI's "normal": t evenly from the last to 0, ln σ interpolated."""
    timesteps = np.linspace(noise.length - 1, 0, steps)
    return to_zero(noise.sigma(timesteps), timesteps)


def karras(noise: NoiseSchedule, steps: int) -> Schedule:
    """σ^(1/7) evenly between the model's extremes (Karras et al. 2022, equation 5)."""
    return _between(noise, karras_sigmas(noise.sigma_min, noise.sigma_max, steps))


def exponential(noise: NoiseSchedule, steps: int) -> Schedule:
    """ln σ evenly between the model's extremes."""
    return _between(noise, exponential_sigmas(noise.sigma_min, noise.sigma_max, steps))


def sgm_uniform(noise: NoiseSchedule, steps: int) -> Schedule:
    """As "normal" with one level more, and the lowest left out."""
    timesteps = np.linspace(noise.length - 1, 0, steps + 1)[:-1]
    return to_zero(noise.sigma(timesteps), timesteps)


def simple(noise: NoiseSchedule, steps: int) -> Schedule:
    """Trained levels alone: t is the last less ⌊i·length/n⌋."""
    timesteps = noise.length - 1.0 - np.floor(np.arange(steps) * (noise.length / steps))
    return to_zero(noise.sigmas[timesteps.astype(np.int64)], timesteps)


def karras_sigmas(lowest: float, highest: float, steps: int) -> Array:
    """`steps` levels from the highest down to the lowest, ρ = 7."""
    roots = np.linspace(highest ** (1 / 7), lowest ** (1 / 7), steps)
    return np.power(roots, 7.0)


def exponential_sigmas(lowest: float, highest: float, steps: int) -> Array:
    """`steps` levels from the highest down to the lowest."""
    return np.exp(np.linspace(np.log(highest), np.log(lowest), steps))


def _between(noise: NoiseSchedule, sigmas: Array) -> Schedule:
    return to_zero(sigmas, noise.timestep(sigmas))
