"""The demo model's detector on what its painter draws: fresh scenes, every shape."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sakuga.engine.refine.detections import Box
from sakuga.engine.refine.detector import Detector
from sakuga.engine.refine.detectors import DEMO_DETECTORS
from sakuga.export.demo.backdrop import backdrop
from sakuga.export.demo.face import face_box
from sakuga.export.demo.painter import paint
from sakuga.export.demo.pen import finished
from sakuga.export.demo.scene import Scene, frame, random_scene
from sakuga.profiles.buckets import QUARTER_BUCKETS, Size


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(DEMO_DETECTORS["face"])


def scenes(count: int, seed: int) -> list[Scene]:
    generator = np.random.default_rng(seed)
    return [random_scene(generator) for _ in range(count)]


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    across = max(min(one[2], other[2]) - max(one[0], other[0]), 0)
    down = max(min(one[3], other[3]) - max(one[1], other[1]), 0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return across * down / (areas - across * down)


def test_it_is_small_and_free() -> None:
    file = DEMO_DETECTORS["face"]
    assert file.stat().st_size <= 300_000
    assert Detector(file).license == "Apache-2.0"


@pytest.mark.parametrize("size", QUARTER_BUCKETS, ids=str)
def test_finds_the_one_face_of_a_picture(detector: Detector, size: Size) -> None:
    for scene in scenes(3, seed=77):
        (face,) = detector(np.asarray(paint(scene, size)))
        assert face.name == "face"
        assert overlap(face.box, face_box(frame(scene, size), size)) > 0.7


def test_finds_several_faces_and_none_where_none_is(detector: Detector) -> None:
    size = Size(192, 192)
    drawn = scenes(4, seed=78)
    pictures: list[NDArray[np.uint8]] = [np.asarray(paint(scene, size)) for scene in drawn]
    found = detector(np.vstack([np.hstack(pictures[:2]), np.hstack(pictures[2:])]))
    assert len(found) == 4
    for at, scene in enumerate(drawn):
        across, down = 192 * (at % 2), 192 * (at // 2)
        left, top, right, bottom = face_box(frame(scene, size), size)
        box = left + across, top + down, right + across, bottom + down
        assert max(overlap(face.box, box) for face in found) > 0.7
    for scene in drawn:
        assert detector(np.asarray(finished(backdrop(scene, size)))) == []
