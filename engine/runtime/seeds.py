"""Seeds as they are asked for, and the noise they stand for."""

import secrets

from sakuga.engine.errors import UsageError
from sakuga.engine.sampling.noise.plan import NoisePlan
from sakuga.engine.sampling.noise.sources import find_rng
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import VAE_FACTOR

RANDOM_SEED = -1  # as A1111 writes it
LARGEST_SIDE = 8192  # of a size that noise is drawn at


def random_seed() -> int:
    """A seed that nobody chose, below 2³² so that every tool takes it."""
    return secrets.randbelow(2**32)


def chosen_seed(seed: int | None) -> int:
    """The seed, or a random one for None and -1."""
    return random_seed() if seed is None or seed == RANDOM_SEED else seed


def noise_plan(
    rng: str,
    seed: int | None,
    variation_seed: int | None = None,
    variation_strength: float | None = None,
    seed_resize: Size | None = None,
    ensd: int = 0,
) -> NoisePlan:
    """What a request's noise is drawn from. Raises UsageError."""
    strength = _strength(variation_seed, variation_strength)
    plan = NoisePlan(
        rng=find_rng(rng),
        seed=_checked(chosen_seed(seed)),
        variation_seed=_checked(chosen_seed(variation_seed)) if strength else None,
        variation_strength=strength,
        drawn_at=_drawn_at(seed_resize),
        ensd=ensd,
    )
    if not 0 <= plan.later_seed < 2**64:
        raise UsageError(
            f"An eta noise seed delta of {plan.ensd} cannot be added to the seed {plan.seed}.",
            note=f"The sum must lie from 0 to {2**64 - 1}.",
            hint="Choose another seed, or leave the delta out.",
        )
    return plan


def _strength(variation_seed: int | None, strength: float | None) -> float:
    if strength is None and variation_seed is not None:
        raise UsageError(
            "A variation seed without a strength changes nothing.",
            hint="Give a variation strength too, from 0 to 1; 0.1 is a small change.",
        )
    if strength is not None and not 0 <= strength <= 1:
        raise UsageError(
            f"The strength of a variation cannot be {strength}.",
            hint="Give a number from 0, the seed's noise, to 1, the variation seed's.",
        )
    return float(strength or 0)


def _drawn_at(size: Size | None) -> Size | None:
    if size is None:
        return None
    if not all(VAE_FACTOR <= side <= LARGEST_SIDE for side in (size.width, size.height)):
        raise UsageError(
            f"Noise cannot be drawn at {size} pixels.",
            hint=f"Sides of a seed's own size go from {VAE_FACTOR} to {LARGEST_SIDE}.",
        )
    return size


def _checked(seed: int) -> int:
    if not 0 <= seed < 2**64:
        raise UsageError(
            f"A seed cannot be {seed}.", hint=f"Give a whole number from 0 to {2**64 - 1}."
        )
    return seed
