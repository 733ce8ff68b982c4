"""Logarithm, sine and cosine in float32 with the very roundings of torch's AVX2 kernels.

The polynomials are those of Cephes (S. L. Moshier, logf.c, sinf.c); torch evaluates them with fused
multiply-adds. Here a fused operation is done in float64 and rounded once more, which differs from
fusing where the float64 sum lies halfway between two float32 numbers: once in about 2²⁹ times.
"""

from functools import reduce

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]

# Highest power first.
_LOG = np.array(
    [
        *(7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1),
        *(-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1),
    ],
    np.float32,
)
_SIN = np.array([-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1], np.float32)
_COS = np.array([2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2], np.float32)
# ln 2 and π/4, each in parts whose products with a small whole number are exact.
_LN_2 = (np.float32(0.693359375), np.float32(-2.12194440e-4))
_EIGHTH = (
    np.float32(0.78515625),
    np.float32(2.4187564849853515625e-4),
    np.float32(3.77489497744594108e-8),
)
_EIGHTHS = np.float32(4 / np.pi)
_ROOT_HALF = np.float32(0.707106781186547524)
_HALF, _ONE = np.float32(0.5), np.float32(1)


def log(x: Values) -> Values:
    """ln x for ordinary positive numbers, float32 of any shape."""
    half, exponent = np.frexp(x)  # x = half · 2^exponent, half in [1/2, 1)
    low = half < _ROOT_HALF
    power = (exponent - low).astype(np.float32)
    part: Values = (half - _ONE) + np.where(low, half, np.float32(0))
    square: Values = np.square(part)
    curve: Values = np.multiply(_polynomial(_LOG, part), part)
    curve = _fused(curve, square, power * _LN_2[1])
    curve = _fused(square, -_HALF, curve)
    return _fused(power, _LN_2[0], part + curve)


def sin_cos(x: Values) -> tuple[Values, Values]:
    """sin x and cos x for x in [0, 8192), float32 of any shape."""
    eighth = ((x * _EIGHTHS).astype(np.int32) + 1) & ~1  # of a turn, the even one next to x
    for part in _EIGHTH:
        x = _fused(eighth.astype(np.float32), -part, x)
    square: Values = np.square(x)
    cos = _fused(_polynomial(_COS, square) * square, square, -(square * _HALF)) + _ONE
    sin = _fused(_polynomial(_SIN, square) * square, x, x)
    swapped = (eighth & 2) != 0
    sin, cos = np.where(swapped, cos, sin), np.where(swapped, sin, cos)
    return (
        np.where(eighth & 4, -sin, sin),
        np.where((eighth + 2) & 4, -cos, cos),
    )


def _polynomial(coefficients: Values, x: Values) -> Values:
    first, *others = coefficients
    return reduce(lambda sum_, each: _fused(sum_, x, each), others, np.full_like(x, first))


def _fused(a: Values, b: Values | np.float32, c: Values | np.float32) -> Values:
    """a·b + c, rounded once."""
    wide = np.multiply(a, b, dtype=np.float64)
    wide += c
    return wide.astype(np.float32)
