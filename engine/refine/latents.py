"""Latents of another size: torch's `interpolate`, axis by axis, in NumPy.

A1111's latent upscalers are these: `latent_upscale_modes` of its modules/shared_items.py. Source of
the formulas: ATen/native/UpSample.h of PyTorch; half-pixel centres, cubic with A = -0.75, or with
antialiasing A = -0.5 over a window as wide as the shrinking.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Latent = NDArray[np.float32]
_Weights = NDArray[np.float32]


class Interpolation(NamedTuple):
    """A kernel and how it is used. `label` is A1111's name of it."""

    label: str
    kernel: str
    antialiased: bool = False


LATENT_UPSCALERS = {
    "latent": Interpolation("Latent", "bilinear"),
    "latent-antialiased": Interpolation("Latent (antialiased)", "bilinear", True),
    "latent-bicubic": Interpolation("Latent (bicubic)", "bicubic"),
    "latent-bicubic-antialiased": Interpolation("Latent (bicubic antialiased)", "bicubic", True),
    "latent-nearest": Interpolation("Latent (nearest)", "nearest"),
    "latent-nearest-exact": Interpolation("Latent (nearest-exact)", "nearest-exact"),
}


def resize_latent(latent: Latent, size: tuple[int, int], how: Interpolation) -> Latent:
    """float32 [channels, height, width] to (height, width) `size`."""
    across = _weights(latent.shape[2], size[1], how.kernel, how.antialiased)
    down = _weights(latent.shape[1], size[0], how.kernel, how.antialiased)
    # In NumPy's own loops: what a matrix library sums in which order depends on the machine.
    wide = np.einsum("chw,nw->chn", latent, across)
    resized: Latent = np.einsum("chw,nh->cnw", wide, down)
    return np.ascontiguousarray(resized)


def middle_of(latent: Latent, size: tuple[int, int]) -> Latent:
    """The middle of (height, width) `size`; an odd point too many goes from the right and from
    below. Source: A1111, `sample_hr_pass` in modules/processing.py."""
    top, left = ((have - want) // 2 for have, want in zip(latent.shape[1:], size, strict=True))
    return np.ascontiguousarray(latent[:, top : top + size[0], left : left + size[1]])


@lru_cache(64)
def _weights(length: int, wanted: int, kernel: str, antialiased: bool) -> _Weights:
    """[wanted, length]: how much of each point every new one takes."""
    weights = np.zeros((wanted, length))
    scale = length / wanted
    for new in range(wanted):
        if kernel == "nearest":
            weights[new, min(math.floor(new * scale), length - 1)] = 1
        elif kernel == "nearest-exact":
            weights[new, min(math.floor((new + 0.5) * scale), length - 1)] = 1
        elif antialiased:
            _wide(weights[new], (new + 0.5) * scale, max(scale, 1.0), kernel)
        else:
            _narrow(weights[new], (new + 0.5) * scale - 0.5, kernel)
    return weights.astype(np.float32)


def _narrow(row: NDArray[np.float64], centre: float, kernel: str) -> None:
    """Two or four neighbours; those beyond the edge are the edge's."""
    if kernel == "bilinear":
        centre = max(centre, 0.0)
    first = math.floor(centre)
    reach = range(2) if kernel == "bilinear" else range(-1, 3)
    for step in reach:
        at = min(max(first + step, 0), len(row) - 1)
        row[at] += _KERNELS[kernel](centre - first - step)


def _wide(row: NDArray[np.float64], centre: float, support: float, kernel: str) -> None:
    """All points the widened kernel reaches, together 1."""
    reach = support * (1 if kernel == "bilinear" else 2)
    first = max(int(centre - reach + 0.5), 0)
    last = min(int(centre + reach + 0.5), len(row))
    shape = _triangle if kernel == "bilinear" else _soft_cubic
    for at in range(first, last):
        row[at] = shape((at - centre + 0.5) / support)
    row /= row.sum()


def _triangle(x: float) -> float:
    return max(0.0, 1 - abs(x))


def _cubic(x: float, a: float = -0.75) -> float:
    """Keys 1981."""
    x = abs(x)
    if x <= 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    if x < 2:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return 0.0


def _soft_cubic(x: float) -> float:
    return _cubic(x, -0.5)


_KERNELS: dict[str, Callable[[float], float]] = {"bilinear": _triangle, "bicubic": _cubic}
