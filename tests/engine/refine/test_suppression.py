"""Suppression against a plain reference, and its defining property."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sakuga.engine.refine.suppression import Values, suppressed

_SIDES = st.tuples(*[st.integers(0, 12)] * 2, *[st.integers(0, 8)] * 2)
CASES = st.lists(st.tuples(_SIDES, st.integers(0, 10), st.integers(0, 2)), max_size=25)


def arrays(
    cases: list[tuple[tuple[int, ...], int, int]],
) -> tuple[Values, Values, NDArray[np.intp]]:
    boxes = [(x, y, x + w, y + h) for (x, y, w, h), _, _ in cases]
    scores = np.array([score / 10 for _, score, _ in cases], np.float32)
    classes = np.array([number for _, _, number in cases], np.intp)
    return np.array(boxes, np.float32).reshape(-1, 4), scores, classes


def overlap(one: Values, other: Values) -> float:
    """Intersection over union, as it is written in books."""
    across = max(min(one[2], other[2]) - max(one[0], other[0]), 0)
    down = max(min(one[3], other[3]) - max(one[1], other[1]), 0)
    areas = sum(float((box[2] - box[0]) * (box[3] - box[1])) for box in (one, other))
    return float(across * down / (areas - across * down)) if areas > across * down else 0.0


def plain(boxes: Values, scores: Values, classes: np.ndarray, most: int) -> list[int]:
    kept = list[int]()
    for at in sorted(range(len(boxes)), key=lambda at: -scores[at]):
        over = any(
            classes[at] == classes[other] and overlap(boxes[at], boxes[other]) > 0.5
            for other in kept
        )
        if not over:
            kept.append(at)
    return kept[:most]


@given(CASES, st.integers(1, 30))
def test_as_the_plain_reference(cases: list[tuple[tuple[int, ...], int, int]], most: int) -> None:
    boxes, scores, classes = arrays(cases)
    found = suppressed(boxes, scores, classes, 0.5, most)
    assert found.tolist() == plain(boxes, scores, classes, most)


def test_only_its_own_class_suppresses_a_box() -> None:
    boxes = np.array([[0, 0, 10, 10]] * 3, np.float32)
    scores = np.array([0.4, 0.9, 0.8], np.float32)
    assert suppressed(boxes, scores, np.array([0, 0, 1]), 0.7, 300).tolist() == [1, 2]
