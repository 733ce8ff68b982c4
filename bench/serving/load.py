"""Loads nobody recorded: arrivals at random, of pictures as they might be asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sakuga.profiles.buckets import Size
from serving.arrival import Arrival

# Portraits first, as people ask of a model that draws characters. Assumed, like all of the mix.
SIZES = {
    Size(832, 1216): 40.0,
    Size(1024, 1024): 15.0,
    Size(1216, 832): 15.0,
    Size(896, 1152): 8.0,
    Size(1152, 896): 6.0,
    Size(768, 1344): 5.0,
    Size(1344, 768): 5.0,
    Size(640, 1536): 3.0,
    Size(1536, 640): 3.0,
}


@dataclass(frozen=True)
class Mix:
    """What is asked for, each value with its weight."""

    sizes: Mapping[Size, float]
    steps: Mapping[int, float]
    guidances: Mapping[float, float]
    priorities: Mapping[int, float]


ALIKE = Mix({Size(1024, 1024): 1}, {28: 1}, {7.0: 1}, {0: 1})
SIZES_MIXED = Mix(SIZES, {28: 1}, {7.0: 1}, {0: 1})
ALL_MIXED = Mix(SIZES, {8: 25, 28: 50, 50: 25}, {7.0: 80, 1.0: 20}, {0: 80, 1: 20})
MIXES = {"alike": ALIKE, "sizes": SIZES_MIXED, "mixed": ALL_MIXED}


def pictures(mix: Mix, count: int, seed: int) -> list[Arrival]:
    """So many pictures, all wanted at once."""
    return poisson(mix, float("inf"), count, seed)


def poisson(mix: Mix, rate: float, count: int, seed: int) -> list[Arrival]:
    """So many pictures at `rate` a second; those of one seed are the same at every rate."""
    random = np.random.default_rng(seed)
    times = np.cumsum(random.standard_exponential(count)) / rate
    sizes, steps = _drawn(random, mix.sizes, count), _drawn(random, mix.steps, count)
    guidances = _drawn(random, mix.guidances, count)
    priorities = _drawn(random, mix.priorities, count)
    columns = zip(times.tolist(), sizes, steps, guidances, priorities, strict=True)
    return [Arrival(*row) for row in columns]


def _drawn(random: np.random.Generator, weights: Mapping[Any, float], count: int) -> list[Any]:
    shares: NDArray[np.float64] = np.array(list(weights.values()))
    values = list(weights)
    return [values[at] for at in random.choice(len(values), count, p=shares / shares.sum())]
