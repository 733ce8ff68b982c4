"""Pictures to denoise without a prompt encoder: what the UNet is told is random."""

import numpy as np

from sakuga.engine.runtime.request import Defaults, Request
from sakuga.engine.runtime.resolve import resolve
from sakuga.engine.runtime.settings import Settings
from sakuga.engine.runtime.slot import Course, Slot, row_sources
from sakuga.engine.text.conditioning import Conditioning
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import CHUNK, Family

GUIDANCE = 7.0


def settings_of(
    family: Family, size: Size, steps: int, sampler: str = "euler_a", seed: int = 0
) -> Settings:
    """A guided picture's settings."""
    request = Request("", width=size.width, height=size.height, steps=steps,
                      guidance=GUIDANCE, sampler=sampler, seed=seed)  # fmt: skip
    return resolve(request, family, Defaults(size), "epsilon")


def guided_slot(family: Family, size: Size, steps: int, index: int = 0) -> Slot:
    """A picture with a prompt and a negative prompt of its own."""
    settings = settings_of(family, size, steps, seed=index)
    positive, negative = (
        Course((_conditioning(family, 2 * index + nth),) * settings.table.evaluations)
        for nth in range(2)
    )
    return Slot(index, settings, lambda: row_sources(settings, [positive], negative))


def _conditioning(family: Family, seed: int) -> Conditioning:
    random = np.random.default_rng(seed)
    states = random.standard_normal((CHUNK, family.unet.context), np.float32).astype(np.float16)
    pooled = family.pooled and random.standard_normal(family.pooled, np.float32)
    return Conditioning(states, pooled if isinstance(pooled, np.ndarray) else None)
