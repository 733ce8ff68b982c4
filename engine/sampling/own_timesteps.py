"""The timesteps of the two samplers A1111 brings itself; its schedules do not count for them.

Source: AUTOMATIC1111/stable-diffusion-webui, modules/sd_samplers_timesteps.py and
modules/models/diffusion/uni_pc.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.sampling.levels import Schedule
from sakuga.engine.sampling.noise_schedule import NoiseSchedule


class Tail(NamedTuple):
    """The end of a way, and the noise level a picture is brought to before it. A1111 takes one
    above the first it walks from."""

    levels: Schedule
    sigma: float


def ddim_timesteps(noise: NoiseSchedule, steps: int) -> Schedule:
    """From each multiple of ⌊length/n⌋, plus one, to the one below.

    That is n steps where n does not divide the length and n - 1 where it does; for one step, none.
    The last ends at t = 1.
    """
    return _ddim(noise, _levels(noise, steps))


def ddim_tail(noise: NoiseSchedule, steps: int, kept: int) -> Tail:
    """Of image to image: the lowest `kept - 1` levels, so a step less than that."""
    timesteps = _levels(noise, steps)
    return Tail(_ddim(noise, timesteps[: kept - 1]), float(noise.sigmas[timesteps[kept - 1]]))


def unipc_timesteps(noise: NoiseSchedule, steps: int) -> Schedule:
    """t evenly from the last to 0, ln ᾱ interpolated; as many steps as DDIM has levels."""
    return _unipc(noise, noise.length - 1, len(_levels(noise, steps)))


def unipc_tail(noise: NoiseSchedule, steps: int, kept: int) -> Tail:
    """Of image to image: `kept - 1` steps from DDIM's level of that number."""
    timesteps = _levels(noise, steps)
    # Where there is none, there is no step either.
    highest = float(timesteps[kept - 2]) if kept > 1 else 0.0
    return Tail(_unipc(noise, highest, kept - 1), float(noise.sigmas[timesteps[kept - 1]]))


def _levels(noise: NoiseSchedule, steps: int) -> NDArray[np.int64]:
    """Multiples of ⌊length/n⌋, plus one, from below."""
    multiples = np.arange(0, noise.length, noise.length // steps)
    return np.minimum(multiples + 1, noise.length - 1)


def _ddim(noise: NoiseSchedule, rising: NDArray[np.int64]) -> Schedule:
    timesteps = rising[::-1]
    sigmas = noise.sigmas[timesteps]
    return Schedule(sigmas[:-1], sigmas[1:], timesteps[:-1].astype(np.float64), True)


def _unipc(noise: NoiseSchedule, highest: float, count: int) -> Schedule:
    timesteps = np.linspace(highest, 0, count + 1)
    alphas = np.exp(np.interp(timesteps, noise.grid, np.log(noise.alphas_cumprod)))
    sigmas = np.sqrt((1 - alphas) / alphas)
    return Schedule(sigmas[:-1], sigmas[1:], timesteps[:-1], True)
