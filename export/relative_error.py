"""How far two arrays are apart, as one number."""

import math

import numpy as np

from sakuga.engine.backend.base import Array


def relative_error(got: Array, wanted: Array) -> float:
    """max|a − b| / max|b|, in float64; infinite where either holds NaN or infinity."""
    if not (np.isfinite(got).all() and np.isfinite(wanted).all()):
        return math.inf
    wanted = wanted.astype(np.float64)
    difference, scale = float(np.abs(got - wanted).max()), float(np.abs(wanted).max())
    if scale == 0:
        return 0.0 if difference == 0 else math.inf
    return difference / scale
