"""What a detector found in a picture, and which of it is worked on, in which order.

The rules are those of ADetailer 25.3.0: its order of steps, and what it does with equals.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.refine.detail import Detail
from sakuga.profiles.buckets import Size

Box = tuple[float, float, float, float]
Outline = NDArray[np.uint8]
_Key = Callable[["Detection"], float]


@dataclass(frozen=True, eq=False)
class Detection:
    """One thing that was found.

    `box`: left, top, right and bottom in pixels of the picture. `name`: of its class. `mask`: its
    outline, uint8 [height, width] of the picture, 0 or 255; None where only the box is known.
    """

    box: Box
    confidence: float
    mask: Outline | None = None
    name: str = ""

    @property
    def area(self) -> float:
        """Of the box, in pixels."""
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)

    @property
    def middle(self) -> tuple[float, float]:
        """Of the box: across, down."""
        left, top, right, bottom = self.box
        return (left + right) / 2, (top + bottom) / 2


def select(found: Sequence[Detection], size: Size, detail: Detail) -> list[Detection]:
    """What is worked on in a picture of this size: within the ratios, of that the top k, sorted."""
    whole = size.width * size.height
    chosen = [each for each in found if detail.min_ratio <= each.area / whole <= detail.max_ratio]
    if detail.top_k:
        chosen = _top(chosen, detail)
    return _sorted(chosen, size, detail.sort)


def _top(found: Sequence[Detection], detail: Detail) -> list[Detection]:
    """The k largest or surest, from the first on; of equals the one found last comes first."""
    keys: dict[str, _Key] = {
        "area": lambda each: each.area,
        "confidence": lambda each: each.confidence,
    }
    return sorted(found, key=keys[detail.top_by])[-detail.top_k :][::-1]


def _sorted(found: list[Detection], size: Size, sort: str) -> list[Detection]:
    """Equals stay in the order they came in."""
    centre = size.width / 2, size.height / 2
    keys: dict[str, _Key] = {
        "left to right": lambda each: each.box[0],
        "center to edge": lambda each: math.dist(centre, each.middle),
        "area": lambda each: -each.area,
    }
    return found if sort == "none" else sorted(found, key=keys[sort])
