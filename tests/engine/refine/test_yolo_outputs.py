"""The layouts of YOLO exports, told apart and read."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.refine.yolo_outputs import Layout, layout_of, read_outputs

PLACES = Layout(0, None, "places", 2, 0)


@pytest.mark.parametrize(
    ("shapes", "names", "wanted"),
    [
        # Ultralytics' exports: YOLOv8n and v11n of COCO at 640, faces, open sides, segments.
        ([[1, 84, 8400]], 80, Layout(0, None, "places", 80, 0)),
        ([[1, 84, 8400]], None, Layout(0, None, "places", 80, 0)),
        ([[1, 5, 8400]], 1, Layout(0, None, "places", 1, 0)),
        ([[None, 5, None]], 1, Layout(0, None, "places", 1, 0)),
        ([[None, None, None]], 3, Layout(0, None, "places", 3, 0)),
        ([[1, 37, 8400], [1, 32, 160, 160]], 1, Layout(0, 1, "places", 1, 32)),
        ([[1, 32, None, None], [1, 116, None]], 80, Layout(1, 0, "places", 80, 32)),
        ([[1, 300, 6]], 80, Layout(0, None, "end to end", 80, 0)),
        ([[1, 300, 6]], None, Layout(0, None, "end to end", None, 0)),
        ([[1, 300, 38], [1, 32, 160, 160]], 1, Layout(0, 1, "end to end", 1, 32)),
        # YOLOv5's, a pose's, a classifier's, a segmentation of pixels, nothing at all.
        ([[1, 25200, 85]], 80, None),
        ([[1, 56, 8400]], 1, None),
        ([[1, 1000]], 1000, None),
        ([[1, 21, 640, 640]], 21, None),
        ([[1, 4, 8400]], None, None),
        ([[1, 84, 8400], [1, 84, 8400]], 80, None),
        ([[1, 37, 8400], [1, None, 160, 160]], 1, None),
        ([[None, None, None]], None, None),
        ([], 1, None),
    ],
)
def test_a_layout_shows_in_the_shapes(
    shapes: list[list[int | None]], names: int | None, wanted: Layout | None
) -> None:
    assert layout_of(shapes, names) == wanted


def test_places_have_a_middle_sides_and_a_score_for_each_class() -> None:
    columns = [[32, 16, 20, 8, 0.2, 0.9], [10, 10, 4, 4, 0.4, 0.1], [10, 10, 4, 4, 0.3, 0.3]]
    found = read_outputs([np.array(columns, np.float32).T[None]], PLACES, 0.3, None)
    np.testing.assert_array_equal(found.boxes, [[22, 12, 42, 20], [8, 8, 12, 12]])
    np.testing.assert_allclose(found.scores, [0.9, 0.4])
    assert found.classes.tolist() == [1, 0]


def test_end_to_end_rows_are_taken_as_they_are() -> None:
    rows = [
        [0, 0, 9, 9, 0.5, 1],
        [0, 0, 9, 9, 0.8, 1],
        [1, 1, 4, 4, 0.6, 0],
        [0, 0, 0, 0, 0, np.inf],
    ]
    layout = Layout(0, None, "end to end", 2, 0)
    found = read_outputs([np.array([rows], np.float32)], layout, 0.3, None)
    np.testing.assert_allclose(found.scores, [0.8, 0.6, 0.5])
    assert found.classes.tolist() == [1, 0, 1]


def test_only_classes_that_are_wanted() -> None:
    columns = [[32, 16, 20, 8, 0.2, 0.9], [10, 10, 4, 4, 0.4, 0.1]]
    output = np.array(columns, np.float32).T[None]
    assert read_outputs([output], PLACES, 0.3, [0]).classes.tolist() == [0]
    assert read_outputs([output], PLACES, 0.3, []).classes.tolist() == []


def test_what_is_no_number_is_not_found() -> None:
    columns = [[np.nan, 16, 20, 8, 0.2, 0.9], [10, np.inf, 4, 4, 0.4, 0.1], [1, 1, 1, 1, np.nan, 0]]
    found = read_outputs([np.array(columns, np.float32).T[None]], PLACES, 0.3, None)
    assert len(found.boxes) == 0


@given(st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_nothing_is_below_the_confidence_and_the_surest_comes_first(
    confidence: float, seed: int
) -> None:
    output = np.random.default_rng(seed).random((1, 6, 40), np.float32)
    found = read_outputs([output], PLACES, confidence, None)
    assert (found.scores > confidence).all()
    assert (np.diff(found.scores) <= 0).all()
