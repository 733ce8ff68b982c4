"""Non-maximum suppression: of boxes that lie on one another the surest stays."""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]


def suppressed(
    boxes: Values, scores: Values, classes: NDArray[np.intp], overlap: float, most: int
) -> NDArray[np.intp]:
    """Which of the boxes [n, 4] (left, top, right, bottom) stay, the surest first; `most` at most.

    One goes where it overlaps a surer one of its class by more than `overlap` (intersection over
    union). Of equally sure ones the first counts as surer.
    """
    order = np.argsort(-scores, kind="stable")
    kept = list[int]()
    while len(order) and len(kept) < most:
        first, order = order[0], order[1:]
        kept.append(int(first))
        covered = _overlaps(boxes[first], boxes[order]) > overlap
        order = order[~(covered & (classes[order] == classes[first]))]
    return np.array(kept, np.intp)


def _overlaps(box: Values, others: Values) -> Values:
    """Intersection over union of one box with each of the others."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.prod(np.maximum(sides, 0), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1)
    union = np.prod(box[2:] - box[:2]) + areas - shared
    shares: Values = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return shares
