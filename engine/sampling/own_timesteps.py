"""The timesteps of the two samplers A1111 brings itself; its schedules do not count for them.

Source: AUTOMATIC1111/stable-diffusion-webui, modules/sd_samplers_timesteps.py and
modules/models/diffusion/uni_pc.
"""

import numpy as np

from sakuga.engine.sampling.levels import Schedule
from sakuga.engine.sampling.noise_schedule import NoiseSchedule


def ddim_timesteps(noise: NoiseSchedule, steps: int) -> Schedule:
    """From each multiple of ⌊length/n⌋, plus one, to the one below.

    That is n steps where n does not divide the length and n - 1 where it does; for one step, none.
    The last ends at t = 1.
    """
    multiples = np.arange(0, noise.length, noise.length // steps)
    timesteps = np.minimum(multiples + 1, noise.length - 1)[::-1]
    sigmas = noise.sigmas[timesteps]
    return Schedule(sigmas[:-1], sigmas[1:], timesteps[:-1].astype(np.float64), True)


def unipc_timesteps(noise: NoiseSchedule, steps: int) -> Schedule:
    """t evenly from the last to 0, ln ᾱ interpolated; as many steps as DDIM has levels."""
    count = len(range(0, noise.length, noise.length // steps))
    timesteps = np.linspace(noise.length - 1, 0, count + 1)
    alphas = np.exp(np.interp(timesteps, noise.grid, np.log(noise.alphas_cumprod)))
    sigmas = np.sqrt((1 - alphas) / alphas)
    return Schedule(sigmas[:-1], sigmas[1:], timesteps[:-1], True)
