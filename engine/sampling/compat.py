"""Whose picture to match: each tool's habits as a bundle of small named rules."""

import math
from dataclasses import dataclass
from typing import Literal

from sakuga.engine.errors import UsageError
from sakuga.engine.sampling.samplers import (
    SAMPLERS,
    Path,
    Prediction,
    SamplerOptions,
    SamplerTable,
    sampler_name,
)
from sakuga.engine.sampling.schedules import (
    NoiseSchedule,
    Schedule,
    make_schedule,
    stable_diffusion_schedule,
)
from sakuga.kernels.to_rgb8 import Rounding


@dataclass(frozen=True)
class Compat:
    """The rules of one tool.

    schedule: the noise levels it visits unless asked otherwise (a key of SCHEDULES).
    timesteps: "continuous", fractional as the schedule gives them; "discrete", the nearest of the
        thousand trained ones.
    first_noise: the scale of the first latent. "sigma", σ₀; "sigma_or_variance", √(1 + σ₀²)
        when the schedule starts at the model's largest σ, else σ₀; "by_spacing", √(1 + σ₀²) for
        "leading", else σ₀.
    rounding: how pixels become bytes.
    zeroed_negative: which negative prompt becomes zeros instead of being encoded (SDXL only):
        "empty", exactly ""; "absent", none given; "never".
    long_prompt: whose rule cuts a prompt of more than 75 tokens (`text.chunks`).
    """

    name: str
    schedule: str
    timesteps: Literal["continuous", "discrete"]
    first_noise: Literal["sigma", "sigma_or_variance", "by_spacing"]
    rounding: Rounding
    zeroed_negative: Literal["empty", "absent", "never"]
    long_prompt: Literal["a1111", "comfy", "diffusers"]


COMPATS = {
    "a1111": Compat(
        name="a1111",
        schedule="normal",
        timesteps="continuous",
        first_noise="sigma",
        rounding="truncate",
        zeroed_negative="empty",
        long_prompt="a1111",
    ),
    "comfy": Compat(
        name="comfy",
        schedule="normal",
        timesteps="discrete",
        first_noise="sigma_or_variance",
        rounding="truncate",
        zeroed_negative="never",
        long_prompt="comfy",
    ),
    "diffusers": Compat(
        name="diffusers",
        schedule="leading",
        timesteps="continuous",
        first_noise="by_spacing",
        rounding="round",
        zeroed_negative="absent",
        long_prompt="diffusers",
    ),
}


def find_compat(name: str) -> Compat:
    """The rules called `name`. Raises UsageError that names the known ones."""
    if name not in COMPATS:
        raise UsageError(
            f"There is no compat mode called {name!r}.", hint=f"Use one of {', '.join(COMPATS)}."
        )
    return COMPATS[name]


def sampling_table(
    compat: Compat,
    sampler: str,
    steps: int,
    prediction: Prediction = "epsilon",
    schedule: str | None = None,
    options: SamplerOptions | None = None,
) -> SamplerTable:
    """Everything about a picture's sampling that is known before it begins.

    `sampler`: any spelling `sampler_name` knows. `schedule`: a key of SCHEDULES instead of the
    tool's own. Raises UsageError for an unknown sampler or schedule, steps outside 1 to 1000, and
    options that are negative or not finite.
    """
    chosen = SAMPLERS[sampler_name(sampler)]
    options = options or SamplerOptions()
    _check(options)
    noise = stable_diffusion_schedule()
    name = schedule or compat.schedule
    levels = make_schedule(name, noise, steps)
    if compat.timesteps == "discrete":
        levels = Schedule(levels.sigmas, noise.nearest_timestep(levels.sigmas[:-1]))
    init_scale = _init_scale(compat, name, float(levels.sigmas[0]), noise)
    return chosen.table(Path(levels, prediction, init_scale), options)


def _init_scale(compat: Compat, schedule: str, sigma: float, noise: NoiseSchedule) -> float:
    if compat.first_noise == "by_spacing":
        whole = schedule == "leading"
    elif compat.first_noise == "sigma_or_variance":
        whole = sigma > noise.sigma_max or math.isclose(sigma, noise.sigma_max, rel_tol=1e-5)
    else:
        whole = False
    return math.sqrt(1 + sigma**2) if whole else sigma


def _check(options: SamplerOptions) -> None:
    for name, value in (("eta", options.eta), ("s_noise", options.s_noise)):
        if not 0 <= value < math.inf:
            raise UsageError(
                f"{name} cannot be {value}.", hint=f"Give a number from 0 up; {name} 1 is usual."
            )
