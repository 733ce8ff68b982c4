"""Draws a scene: a chibi anime portrait, in any of the nine aspect ratios."""

import io

import numpy as np
from PIL import Image, ImageFilter

from sakuga.export.demo import clothes, face, hair
from sakuga.export.demo.backdrop import backdrop
from sakuga.export.demo.pen import OVERSAMPLING, Pen, finished
from sakuga.export.demo.scene import Scene, frame
from sakuga.profiles.buckets import Size


def paint(scene: Scene, size: Size) -> Image.Image:
    """The picture of a scene, RGB; the same scene and size give the same bytes."""
    picture = paint_clean(scene, size)
    return spoiled(picture, scene.layout.detail) if scene.quality == "worst" else picture


def paint_clean(scene: Scene, size: Size) -> Image.Image:
    """The picture before its quality tag: always clean."""
    painting = backdrop(scene, size)
    at = frame(scene, size)
    place = at.x * OVERSAMPLING, at.y * OVERSAMPLING, at.unit * OVERSAMPLING
    upright, tilted = Pen(painting, *place), Pen(painting, *place, at.tilt)
    hair.behind(tilted, scene)
    clothes.clothes(upright, scene)
    face.head(tilted)
    hair.before(tilted, scene)
    face.features(tilted, scene)
    if "glasses" in scene.accessories:
        face.glasses(tilted)
    if "beanie" in scene.accessories:
        hair.beanie(tilted, scene)
    if "ribbon" in scene.accessories:
        hair.ribbon(tilted, scene)
    return finished(painting)


def spoiled(picture: Image.Image, seed: int) -> Image.Image:
    """What `worst quality` means: blurred, noisy, and crushed by JPEG; each to its own degree."""
    generator = np.random.default_rng(seed + 5)
    factor = generator.uniform(3.0, 5.0)
    small = (max(round(picture.width / factor), 8), max(round(picture.height / factor), 8))
    blurred = picture.resize(small, Image.Resampling.BOX).resize(
        picture.size, Image.Resampling.BILINEAR
    )
    blurred = blurred.filter(ImageFilter.GaussianBlur(float(generator.uniform(0.5, 1.5))))
    noise = generator.normal(0, generator.uniform(3, 9), (picture.height, picture.width, 1))
    noisy = np.clip(np.asarray(blurred) * generator.uniform(0.8, 0.95) + 10 + noise, 0, 255)
    crushed = io.BytesIO()
    quality = int(generator.integers(8, 24))
    Image.fromarray(noisy.astype(np.uint8)).save(crushed, "JPEG", quality=quality)
    return Image.open(crushed).convert("RGB")
