"""The judge's own mistakes, on painted pictures whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from sakuga.export.demo.facefinder import find_face
from sakuga.export.demo.judge import Reading, agreement, read, sharpness
from sakuga.export.demo.painter import paint
from sakuga.export.demo.palette import lab
from sakuga.export.demo.scene import Scene, frame, random_scene
from sakuga.profiles.buckets import QUARTER_BUCKETS

PICTURES = 45  # five of each shape


@pytest.fixture(scope="module")
def readings() -> list[tuple[Scene, Reading]]:
    generator = np.random.default_rng(99)
    found = []
    for index in range(PICTURES):
        scene = replace(random_scene(generator), quality="best")
        size = QUARTER_BUCKETS[index % len(QUARTER_BUCKETS)]
        found.append((scene, read(np.asarray(paint(scene, size)))))
    return found


def test_reads_hair_colours(readings: list[tuple[Scene, Reading]]) -> None:
    assert np.mean([reading.hair == scene.hair for scene, reading in readings]) >= 0.98


def test_reads_eyes_and_sees_that_they_are_closed(readings: list[tuple[Scene, Reading]]) -> None:
    for scene, reading in readings:
        closed = scene.expression == "closed eyes"
        assert reading.eyes == (None if closed else scene.eyes)


def test_reads_hair_of_most_spoiled_pictures() -> None:
    generator, right = np.random.default_rng(97), 0
    for index in range(18):
        scene = replace(random_scene(generator), quality="worst")
        size = QUARTER_BUCKETS[index % len(QUARTER_BUCKETS)]
        right += read(np.asarray(paint(scene, size))).hair == scene.hair
    assert right >= 0.75 * 18


def test_holds_a_reading_against_a_prompt() -> None:
    seen = Reading("red hair", None, "blue", True, 20.0)
    prompt = "1girl, red hair, green eyes, red sweater, night, beanie"
    assert agreement(prompt, seen) == {"hair": True, "cloth": False, "night": True}
    assert agreement("blue hair, day", seen) == {"hair": False, "night": False}
    assert agreement("red sweater", replace(seen, cloth=None)) == {}


def test_reads_night(readings: list[tuple[Scene, Reading]]) -> None:
    assert all(reading.night == scene.night for scene, reading in readings)


def test_reads_clothes_where_they_are_seen(readings: list[tuple[Scene, Reading]]) -> None:
    seen = [(scene, reading) for scene, reading in readings if reading.cloth is not None]
    assert len(seen) >= 0.6 * PICTURES
    assert np.mean([reading.cloth == scene.cloth for scene, reading in seen]) >= 0.98


def test_finds_faces_where_they_were_painted() -> None:
    generator = np.random.default_rng(98)
    for size in QUARTER_BUCKETS:
        scene = replace(random_scene(generator), quality="best")
        found, truth = find_face(lab(np.asarray(paint(scene, size)))).at, frame(scene, size)
        assert np.hypot(found.x - truth.x, found.y - truth.y) < 0.25 * truth.unit
        assert found.unit == pytest.approx(truth.unit, rel=0.15)


def test_sees_nothing_in_noise_and_flat_pictures() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3)).astype(np.uint8)
    assert read(noise).hair is None
    assert read(np.zeros((256, 256, 3), np.uint8)).hair is None


def test_sharpness_of_a_known_picture() -> None:
    """A checkerboard of 0 and 255: every Laplacian is ±1020."""
    board = (np.indices((16, 16)).sum(0) % 2 * 255).astype(np.uint8)
    assert sharpness(np.repeat(board[..., None], 3, -1)) == pytest.approx(1020)
