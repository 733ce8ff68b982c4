"""diffusers' schedules: where its schedulers lay their timesteps on the trained ones.

Source: huggingface/diffusers 0.42, src/diffusers/schedulers, with the configs of Stable Diffusion:
`steps_offset` 1, `set_alpha_to_one` false.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sakuga.engine.sampling.levels import Schedule, exponential_sigmas, karras_sigmas, to_zero
from sakuga.engine.sampling.noise_schedule import Array, NoiseSchedule


def leading(noise: NoiseSchedule, steps: int) -> Schedule:
    """Multiples of ⌊length/n⌋, plus one."""
    return _at(noise, _multiples(steps, noise.length // steps))


def trailing(noise: NoiseSchedule, steps: int) -> Schedule:
    """From the length down in steps of length/n, rounded, minus one."""
    # arange's own rounding decides the halves, and now and then yields a value too many.
    ends: Array = np.arange(noise.length, 0, -noise.length / steps, dtype=np.float64)[:steps]
    return _at(noise, np.round(ends) - 1.0)


def linspace(noise: NoiseSchedule, steps: int) -> Schedule:
    """t evenly from 0 to the last. One step is t = 0."""
    return _at(noise, _evenly(noise, steps))


SPACINGS: dict[str, Callable[[NoiseSchedule, int], Schedule]] = {
    "leading": leading,
    "trailing": trailing,
    "linspace": linspace,
}
INNER = {"karras": karras_sigmas, "exponential": exponential_sigmas}


def euler_levels(noise: NoiseSchedule, steps: int, spacing: str, name: str) -> Schedule:
    """Of Euler, Heun and LMS. `name`: one of INNER between the extremes of the spacing, or it."""
    spaced = SPACINGS[spacing](noise, steps)
    if name not in INNER:
        return spaced
    sigmas = INNER[name](spaced.starts[-1], spaced.starts[0], steps)
    return to_zero(sigmas, noise.timestep(sigmas))


def dpm2_levels(noise: NoiseSchedule, steps: int, spacing: str, name: str) -> Schedule:
    """Of DPM2 and DPM2 a: as Euler's, but the timesteps of Karras' levels are rounded."""
    levels = euler_levels(noise, steps, spacing, name)
    return replace(levels, timesteps=np.round(levels.timesteps)) if name == "karras" else levels


def solver_levels(noise: NoiseSchedule, steps: int, spacing: str, name: str) -> Schedule:
    """Of the multistep solvers, DPM++ 2M and UniPC: n of n + 1 timesteps, all whole.

    Karras' levels lie between the model's extremes; their timesteps are rounded, those of the
    exponential levels cut.
    """
    if name in INNER:
        sigmas = INNER[name](noise.sigma_min, noise.sigma_max, steps)
        whole = np.round if name == "karras" else np.floor
        return to_zero(sigmas, whole(noise.timestep(sigmas)))
    if spacing == "leading":
        return _at(noise, _multiples(steps + 1, noise.length // (steps + 1))[:-1])
    if spacing == "linspace":
        return _at(noise, np.round(_evenly(noise, steps + 1))[:-1])
    return trailing(noise, steps)


def ddim_levels(noise: NoiseSchedule, steps: int, spacing: str, name: str) -> Schedule:
    """Of DDIM, which knows no `name`. A step spans ⌊length/n⌋, wherever the next one begins."""
    timesteps = np.minimum(np.round(SPACINGS[spacing](noise, steps).timesteps), noise.length - 1)
    ends = np.maximum(timesteps - noise.length // steps, 0)
    return Schedule(
        starts=noise.sigmas[timesteps.astype(np.int64)],
        ends=noise.sigmas[ends.astype(np.int64)],
        timesteps=timesteps,
        variance_preserving=True,
    )


def _multiples(steps: int, stride: int) -> Array:
    return np.arange(steps, dtype=np.float64)[::-1] * stride + 1.0


def _evenly(noise: NoiseSchedule, steps: int) -> Array:
    timesteps: Array = np.linspace(0, noise.length - 1, steps, dtype=np.float64)[::-1]
    return timesteps


def _at(noise: NoiseSchedule, timesteps: Array) -> Schedule:
    return to_zero(np.interp(timesteps, noise.grid, noise.sigmas), timesteps)
