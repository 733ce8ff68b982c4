"""A small picture of what the network takes the finished one for, a pixel for each latent place.

    ê  = Σ w_r · output_r     over the rows of the slot, as a step sums them
    x₀ = a·x + b·ê
    pixel = offset + Σ factor · x₀     over the four channels

Factors and offsets are a family's colours. Every product and every sum is rounded to float32.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sakuga.kernels.denoise_step import add_product, weighted_sum
from sakuga.kernels.guide import Latent
from sakuga.kernels.model_inputs import Row


class Colours(NamedTuple):
    """What each latent channel adds to red, green and blue, and what all pixels start from."""

    factors: tuple[tuple[float, float, float], ...]
    offsets: tuple[float, float, float]


# Source: ComfyUI, comfy/latent_formats.py: fits of decoded pictures to their latents.
COLOURS = {
    "sdxl": Colours(
        (
            (0.3651, 0.4232, 0.4341),
            (-0.2533, -0.0042, 0.1068),
            (0.1076, 0.1111, -0.0362),
            (-0.3165, -0.2492, -0.2188),
        ),
        (0.1084, -0.0175, -0.0011),
    ),
    "sd15": Colours(
        (
            (0.3512, 0.2297, 0.3227),
            (0.3250, 0.4974, 0.2350),
            (-0.2829, 0.1762, 0.2721),
            (-0.2120, -0.2616, -0.7177),
        ),
        (0.0, 0.0, 0.0),
    ),
    # A fit of the demo jobs' pictures, as their VAE decodes them, to their latents: 0.18 of 0.59.
    "sdxl-demo": Colours(
        (
            (0.4380, 0.2516, 0.2545),
            (0.0441, -0.2475, -0.3717),
            (0.0587, 0.0034, 0.0072),
            (0.1516, 0.1817, -0.0454),
        ),
        (0.1100, 0.1621, 0.2872),
    ),
}


class Foresight(NamedTuple):
    """What the finished picture is taken for is a·x + b·ê; rounded to float32 when used."""

    a: float
    b: float


def preview(
    latent: Latent,
    outputs: Iterable[Row],
    weights: Sequence[float],
    foresight: Foresight,
    colours: Colours,
) -> NDArray[np.uint8]:
    """uint8 [height, width, 3], cut off as to_rgb8 does.

    latent: x, float32 [4, height, width]. outputs: the network's rows of this slot, float16 or
    float32, with one weight each. NaN becomes 0.
    """
    eps, term = np.empty_like(latent), np.empty_like(latent)
    weighted_sum(outputs, weights, eps, term)
    foreseen = latent * np.float32(foresight.a)
    add_product(foreseen, foresight.b, eps, term)
    pixels = np.empty((*latent.shape[1:], 3), np.uint8)
    for channel, offset in enumerate(colours.offsets):
        total = np.full(latent.shape[1:], offset, np.float32)
        for plane, factors in zip(foreseen, colours.factors, strict=True):
            total += plane * np.float32(factors[channel])
        total += np.float32(1)
        total *= np.float32(0.5)
        np.fmin(np.fmax(total, np.float32(0)), np.float32(1), out=total)
        pixels[..., channel] = (total * np.float32(255)).astype(np.uint8)
    return pixels
