"""From a sampler and a schedule to a table, by the rules of a tool."""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from sakuga.engine.errors import UsageError
from sakuga.engine.sampling.choice import OWN, Choice
from sakuga.engine.sampling.compat import Compat
from sakuga.engine.sampling.levels import Schedule, without_penultimate
from sakuga.engine.sampling.noise_schedule import (
    NoiseSchedule,
    stable_diffusion_schedule,
    zero_terminal_snr,
)
from sakuga.engine.sampling.samplers import SAMPLERS, Sampler
from sakuga.engine.sampling.schedules import make_schedule
from sakuga.engine.sampling.spacings import INNER, SPACINGS, ddim_levels, solver_levels
from sakuga.engine.sampling.strength import Strength, check_length, share_of, tail
from sakuga.engine.sampling.table import Path, Prediction, SamplerTable

# diffusers' DDIM leaves the last ᾱ at 0, where v still says what x₀ is. This is as good as 0.
NO_SIGNAL = 1e-24


@dataclass(frozen=True)
class SamplerOptions:
    """`eta` scales the noise a step puts back, `s_noise` the numbers it draws.

    None is the sampler's own: an eta of 1, for DDIM 0; an s_noise of 1.
    """

    eta: float | None = None
    s_noise: float | None = None


@dataclass(frozen=True)
class Training:
    """How the model was trained: what it predicts, and whether its last level is pure noise."""

    prediction: Prediction = "epsilon"
    zero_terminal_snr: bool = False


def sampling_table(
    compat: Compat,
    choice: Choice,
    steps: int,
    training: Training = Training(),
    options: SamplerOptions = SamplerOptions(),
    strength: Strength | None = None,
) -> SamplerTable:
    """Everything about a picture's sampling that is known before it begins.

    `strength`: how much of a given picture is made anew, None where there is none.

    Raises UsageError for steps outside 1 to 1000 or too many or few for the sampler, and options
    that are negative, not finite, or mean nothing to the sampler.
    """
    sampler = SAMPLERS[choice.sampler]
    noise = _trained(compat, sampler, training)
    if not 1 <= steps <= noise.length:
        raise UsageError(
            f"A picture cannot be made in {steps} steps.",
            note=f"The model knows {noise.length} noise levels.",
            hint=f"Ask for 1 to {noise.length} steps; 20 to 50 are usual.",
        )
    way = _way(compat, choice, noise, steps, strength)
    at = noise.nearest_timestep if compat.timesteps == "discrete" else noise.timestep
    eta, s_noise = _options(sampler, options)
    method = sampler.tables.get(compat.name, sampler.table)
    return method(
        Path(
            schedule=way.levels,
            steps=steps,
            prediction=training.prediction,
            init_scale=way.noise,
            picture=way.picture,
            timestep_at=lambda sigma: float(at(np.array(sigma))),
            eta=eta,
            s_noise=s_noise,
        )
    )


class _Way(NamedTuple):
    """The levels to walk, and what the first latent is made of."""

    levels: Schedule
    noise: float
    picture: float


def _way(
    compat: Compat, choice: Choice, noise: NoiseSchedule, steps: int, strength: Strength | None
) -> _Way:
    if strength is None:
        levels = _levels(compat, choice, noise, steps)
        _check_levels(SAMPLERS[choice.sampler], levels, steps)
        return _Way(levels, _init_scale(compat, choice, levels, noise), 0.0)
    share = share_of(compat.name, strength, steps)
    check_length(share, strength, steps, noise.length)
    if choice.schedule == OWN:
        own_tail = SAMPLERS[choice.sampler].own_tail
        assert own_tail is not None
        levels, sigma = own_tail(noise, share.steps, share.kept)
        _check_levels(SAMPLERS[choice.sampler], levels, steps)
        # It is a variance-preserving latent at one level, and taken for one at another.
        picture = math.sqrt((1 + float(levels.starts[0]) ** 2) / (1 + sigma**2))
        return _Way(levels, picture * sigma, picture)
    levels = _levels(compat, choice, noise, share.steps)
    _check_levels(SAMPLERS[choice.sampler], levels, steps)
    whole = _init_scale(compat, choice, levels, noise)
    levels = tail(levels, share.kept)
    if compat.name == "diffusers" and strength.masked and strength.value == 1:
        return _Way(levels, whole, 0.0)
    if compat.name == "comfy":
        return _Way(levels, _init_scale(compat, choice, levels, noise), 1.0)
    return _Way(levels, float(levels.starts[0]), 1.0)


def _trained(compat: Compat, sampler: Sampler, training: Training) -> NoiseSchedule:
    noise = stable_diffusion_schedule()
    if not training.zero_terminal_snr:
        return noise
    ends_at_zero = compat.schedule == "spacing" and sampler.diffusers is ddim_levels
    if ends_at_zero and training.prediction == "v_prediction":
        return zero_terminal_snr(noise, NO_SIGNAL)
    return zero_terminal_snr(noise, compat.terminal_alpha)


def _levels(compat: Compat, choice: Choice, noise: NoiseSchedule, steps: int) -> Schedule:
    sampler = SAMPLERS[choice.sampler]
    if choice.schedule == OWN:
        assert sampler.own is not None
        return sampler.own(noise, steps)
    if _spaced(compat, choice):
        return sampler.diffusers(noise, steps, choice.spacing, choice.schedule)
    if compat.name in sampler.discards:
        levels = without_penultimate(make_schedule(choice.schedule, noise, steps + 1))
    else:
        levels = make_schedule(choice.schedule, noise, steps)
    if compat.timesteps == "discrete":
        levels = replace(levels, timesteps=noise.nearest_timestep(levels.starts))
    return levels


def _spaced(compat: Compat, choice: Choice) -> bool:
    """Whether the levels are those of one of diffusers' schedulers."""
    return compat.schedule == "spacing" and choice.schedule in (SPACINGS.keys() | INNER.keys())


def _init_scale(compat: Compat, choice: Choice, levels: Schedule, noise: NoiseSchedule) -> float:
    sigma = float(levels.starts[0])
    if levels.variance_preserving:
        whole = True
    elif compat.first_noise == "by_spacing":
        solver = SAMPLERS[choice.sampler].diffusers is solver_levels
        whole = solver or (choice.spacing == "leading" and _spaced(compat, choice))
    elif compat.first_noise == "sigma_or_variance":
        whole = sigma > noise.sigma_max or math.isclose(sigma, noise.sigma_max, rel_tol=1e-5)
    else:
        whole = False
    return math.sqrt(1 + sigma**2) if whole else sigma


def _check_levels(sampler: Sampler, levels: Schedule, steps: int) -> None:
    if len(levels.starts) == 0:
        raise UsageError(
            f"{sampler.label} makes no picture in {steps} step.",
            note="A1111's timesteps for it have one step less where the steps divide 1000.",
            hint="Ask for more steps; 20 to 50 are usual.",
        )
    if sampler.multistep and (levels.starts == levels.ends).any():
        raise UsageError(
            f"{sampler.label} makes no picture in {steps} steps.",
            note="So many fall on the same noise level twice.",
            hint="Ask for fewer steps; 20 to 50 are usual.",
        )


def _options(sampler: Sampler, options: SamplerOptions) -> tuple[float, float]:
    for name, value in (("eta", options.eta), ("s_noise", options.s_noise)):
        if value is not None and not 0 <= value < math.inf:
            raise UsageError(
                f"{name} cannot be {value}.", hint=f"Give a number from 0 up; {name} 1 is usual."
            )
    eta = sampler.eta if options.eta is None else options.eta
    if sampler.eta is None and options.eta is not None:
        raise _meaningless("eta", sampler)
    if not (eta or sampler.draws) and options.s_noise is not None:
        raise _meaningless("s_noise", sampler)
    return eta or 0.0, 1.0 if options.s_noise is None else options.s_noise


def _meaningless(option: str, sampler: Sampler) -> UsageError:
    return UsageError(
        f"{option} means nothing to {sampler.label}, which adds no noise of that kind.",
        hint=f"Leave {option} out, or choose a sampler that adds noise, such as Euler a.",
    )
