"""Painted training data: endless, labelled, and a function of its seed."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sakuga.export.demo.painter import paint
from sakuga.export.demo.scene import Scene, random_scene
from sakuga.profiles.buckets import QUARTER_BUCKETS, Size

CROP = 128


def scene_number(seed: int, index: int) -> Scene:
    """Scene `index` of a data set; each has a generator of its own."""
    return random_scene(np.random.default_rng((seed, index)))


def pixels(scene: Scene, size: Size) -> NDArray[np.uint8]:
    """The painted picture, uint8 [height, width, 3]."""
    return np.asarray(paint(scene, size))


def crops(seed: int, pictures: int) -> NDArray[np.uint8]:
    """For the VAE: three crops of each of so many pictures of all shapes, [n, 128, 128, 3].

    One picture in six is painted at half the size, so that small faces are seen too.
    """
    return np.stack(list(_crops(seed, pictures)))


def _crops(seed: int, pictures: int) -> Iterator[NDArray[np.uint8]]:
    for index in range(pictures):
        generator = np.random.default_rng((seed, index, 1))
        scene = scene_number(seed, index)
        if generator.random() < 0.6:  # spoiled pictures are easy; spend the VAE on clean ones
            scene = replace(scene, quality="best")
        size = QUARTER_BUCKETS[index % len(QUARTER_BUCKETS)]
        if index % 6 == 0:
            size = Size(CROP, CROP)
        image = pixels(scene, size)
        for _ in range(1 if index % 6 == 0 else 3):
            top = int(generator.integers(size.height - CROP + 1))
            left = int(generator.integers(size.width - CROP + 1))
            yield image[top : top + CROP, left : left + CROP]
