"""What YOLO networks give, read: the layouts of YOLOv8, v9, v10 and v11 exports.

One output of three axes holds the boxes, [1, 4 + classes (+ coefficients), places] or, of
end-to-end exports, [1, n, 6 (+ coefficients)]; one of four the prototypes of outlines
(Bolya et al. 2019, arXiv:1904.02689), [1, coefficients, height, width].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.refine.suppression import suppressed

Values = NDArray[np.float32]

_OVERLAP, _MOST = 0.7, 300  # Ultralytics' suppression


@dataclass(frozen=True)
class Layout:
    """Which output is which, and how the boxes lie in theirs. `classes`: how many there are, None
    where an end-to-end export does not tell."""

    boxes: int
    prototypes: int | None
    order: Literal["places", "end to end"]
    classes: int | None
    coefficients: int


@dataclass(frozen=True, eq=False)
class Found:
    """Boxes [n, 4] (left, top, right, bottom) in pixels of the input, the surest first; classes
    [n]; coefficients [n, c] of the prototypes [c, h, w], where the network has outlines."""

    boxes: Values
    scores: Values
    classes: NDArray[np.intp]
    coefficients: Values
    prototypes: Values | None


def layout_of(shapes: Sequence[Sequence[int | None]], classes: int | None) -> Layout | None:
    """From the outputs' shapes, whose sides may be open; None where they are no YOLO network's.

    `classes`: how many names its file has.
    """
    flat = [at for at, shape in enumerate(shapes) if len(shape) == 3]
    deep = [at for at, shape in enumerate(shapes) if len(shape) == 4]
    if len(flat) != 1 or len(deep) > 1 or len(shapes) != len(flat) + len(deep):
        return None
    prototypes = deep[0] if deep else None
    coefficients = 0 if prototypes is None else shapes[prototypes][1]
    _, rows, columns = shapes[flat[0]]
    if coefficients is None:
        return None
    if columns == 6 + coefficients:
        return Layout(flat[0], prototypes, "end to end", classes, coefficients)
    if rows is None:  # only the names tell how many classes there are
        rows = None if classes is None else 4 + classes + coefficients
    if rows is None or rows <= 4 + coefficients or classes not in (None, rows - 4 - coefficients):
        return None
    return Layout(flat[0], prototypes, "places", rows - 4 - coefficients, coefficients)


def read_outputs(
    outputs: Sequence[NDArray[Any]], layout: Layout, confidence: float, wanted: Sequence[int] | None
) -> Found:
    """What was found with more than `confidence`; of the classes `wanted`, None for all."""
    prototypes = None if layout.prototypes is None else outputs[layout.prototypes][0]
    read = _end_to_end if layout.order == "end to end" else _places
    boxes, scores, classes, coefficients = read(outputs[layout.boxes][0], layout)
    counts = (scores > confidence) & np.isfinite(boxes).all(axis=1)
    if wanted is not None:
        counts &= np.isin(classes, wanted)
    places = np.flatnonzero(counts)
    # An end-to-end export has none left that overlap.
    overlap = 1.0 if layout.order == "end to end" else _OVERLAP
    kept = places[suppressed(boxes[places], scores[places], classes[places], overlap, _MOST)]
    return Found(boxes[kept], scores[kept], classes[kept], coefficients[kept], prototypes)


_Read = tuple[Values, Values, NDArray[np.intp], Values]


def _places(values: Values, layout: Layout) -> _Read:
    """[4 + classes + coefficients, places]: middle and sides, a score for each class."""
    assert layout.classes is not None
    middles, sides, rest = values[:2].T, values[2:4].T, values[4:].T
    scores, coefficients = rest[:, : layout.classes], rest[:, layout.classes :]
    half = sides * np.float32(0.5)
    corners = [middles - half, middles + half]
    boxes: Values = np.concatenate(corners, axis=1, dtype=np.float32)
    return boxes, scores.max(axis=1), scores.argmax(axis=1), coefficients


def _end_to_end(values: Values, layout: Layout) -> _Read:
    """[n, 6 + coefficients]: corners, score, class."""
    classes = np.clip(np.nan_to_num(values[:, 5]), -1, 1e6).astype(np.intp)
    return values[:, :4], values[:, 4], classes, values[:, 6:]
