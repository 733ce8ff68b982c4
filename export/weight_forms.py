"""The forms in which a graph may want a checkpoint's tensor; the end of a weight's name says it.

`.T`: a matrix transposed. `.fold00` to `.fold11`: the taps of a 3x3 convolution behind a doubling,
for places in even (0) or odd (1) rows and columns; see `folded.py`.
"""

import numpy as np

from sakuga.export.checkpoint.sources import Array

TRANSPOSED = ".T"
# Row and column of the places, 0 for even ones, 1 for odd ones.
CORNERS = {f".fold{row}{column}": (row, column) for row in (0, 1) for column in (0, 1)}


def source(weight: str) -> str:
    """The tensor a weight is made of."""
    return weight.removesuffix(_ending(weight))


def formed(weight: str, values: Array) -> Array:
    """The weight, from its tensor's values; folded ones in float64."""
    ending = _ending(weight)
    if ending in CORNERS:
        return _folded(values, CORNERS[ending])
    return values.T if ending == TRANSPOSED else values


def _ending(weight: str) -> str:
    return next((each for each in (TRANSPOSED, *CORNERS) if weight.endswith(each)), "")


def _folded(taps: Array, corner: tuple[int, int]) -> Array:
    """[out, in, 3, 3] to [out, in, 2, 2]: taps that meet the same value, added.

    Before an even row lies the value of the row above, on it and behind it its own; before an odd
    one and on it its own, behind it that of the row below. Columns alike.
    """
    for axis, odd in zip((2, 3), corner, strict=True):
        taps = np.add.reduceat(taps, [0, 2 if odd else 1], axis, np.float64)
    return taps
