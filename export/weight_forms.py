"""The forms in which a graph may want a checkpoint's tensor; the end of a weight's name says it.

`.T`: a matrix transposed. `.fold00` to `.fold11`: the taps of a 3x3 convolution behind a doubling,
for places in even (0) or odd (1) rows and columns; see `folded.py`.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
Corner = tuple[int, int]  # row and column, 0 for even ones, 1 for odd ones

TRANSPOSED = ".T"
CORNERS: dict[str, Corner] = {
    f".fold{row}{column}": (row, column) for row in (0, 1) for column in (0, 1)
}


def source(weight: str) -> str:
    """The tensor a weight is made of."""
    for ending in (TRANSPOSED, *CORNERS):
        weight = weight.removesuffix(ending)
    return weight


def formed(weight: str, values: Array) -> Array:
    """The weight, from its tensor's values."""
    ending = weight.removeprefix(source(weight))
    if ending in CORNERS:
        return folded_taps(values, CORNERS[ending])
    return values.T if ending == TRANSPOSED else values


def folded_taps(taps: Array, corner: Corner) -> NDArray[np.float64]:
    """[out, in, 3, 3] to [out, in, 2, 2]: taps that meet the same value, added.

    Before an even row lies the value of the row above, on it and behind it its own; before an odd
    one and on it its own, behind it that of the row below. Columns alike.
    """
    added = taps.astype(np.float64)
    for axis, odd in zip((2, 3), corner, strict=True):
        added = np.add.reduceat(added, [0, 2 if odd else 1], axis)
    return added
