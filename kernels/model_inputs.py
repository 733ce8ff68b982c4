"""What the network is given: the latent in its scale and type, a copy for each row."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Row = NDArray[np.floating[Any]]


def model_inputs(latent: NDArray[np.float32], c_in: float, rows: Iterable[Row]) -> None:
    """Write c_in · x, computed in float32 and rounded once, into every row given.

    latent: float32 [4, height, width]; rows: float16 or float32 arrays of that shape.
    """
    first: Row | None = None
    for row in rows:
        if first is None:
            np.multiply(latent, np.float32(c_in), out=row, dtype=np.float32, casting="same_kind")
            first = row
        else:
            row[...] = first
