"""The painter: same scene, same bytes; every shape; quality tags that are real."""

import numpy as np
import pytest

from sakuga.export.demo.judge import sharpness
from sakuga.export.demo.painter import paint, paint_clean, spoiled
from sakuga.export.demo.scene import BOYS_STYLES, HAIR_STYLES, PLACES, Scene, frame, random_scene
from sakuga.profiles.buckets import QUARTER_BUCKETS, Size


def scenes(count: int, seed: int = 5) -> list[Scene]:
    generator = np.random.default_rng(seed)
    return [random_scene(generator) for _ in range(count)]


@pytest.mark.parametrize("size", QUARTER_BUCKETS, ids=str)
def test_paints_every_shape(size: Size) -> None:
    for scene in scenes(4):
        picture = np.asarray(paint(scene, size))
        assert picture.shape == (size.height, size.width, 3)
        assert picture.std() > 20


def test_the_same_scene_is_the_same_picture() -> None:
    for scene in scenes(6):
        size = Size(256, 256)
        assert paint(scene, size).tobytes() == paint(scene, size).tobytes()


def test_a_seed_is_the_same_scenes() -> None:
    assert scenes(20) == scenes(20)
    assert scenes(20) != scenes(20, seed=6)


def test_no_attribute_implies_another() -> None:
    found = scenes(2000)
    assert {scene.place for scene in found} == set(PLACES)
    red = [scene for scene in found if scene.hair == "red hair"]
    share = np.mean([scene.cloth == "red" for scene in red])
    assert 0.03 < share < 0.25


def test_what_goes_with_boys_and_with_nobody_else() -> None:
    for scene in scenes(2000):
        if scene.person == "1boy":
            assert scene.style in BOYS_STYLES and scene.garment != "dress"
            assert "ribbon" not in scene.accessories
        else:
            assert scene.style in HAIR_STYLES


@pytest.mark.parametrize("size", QUARTER_BUCKETS, ids=str)
def test_the_head_is_in_the_picture(size: Size) -> None:
    for scene in scenes(50):
        at = frame(scene, size)
        assert at.unit <= at.x <= size.width - at.unit
        assert at.unit <= at.y <= size.height - at.unit


def test_worst_quality_is_blurred() -> None:
    for scene in scenes(8):
        clean = paint_clean(scene, Size(256, 256))
        bad = spoiled(clean, scene.layout.detail)
        assert sharpness(np.asarray(bad)) < 0.5 * sharpness(np.asarray(clean))
