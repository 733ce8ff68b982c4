"""The detector's data: painted pictures put together, and where the faces are in them.

A composition is one picture, or two or four side by side, at any scale; or no face at all.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from sakuga.export.demo.backdrop import backdrop
from sakuga.export.demo.face import face_box
from sakuga.export.demo.painter import paint
from sakuga.export.demo.pen import finished
from sakuga.export.demo.scene import frame
from sakuga.export.demo.training.pictures import scene_number
from sakuga.profiles.buckets import QUARTER_BUCKETS

SIDE = 256  # of what the network sees
STRIDES = (8, 16, 32)
GREY = 114  # of what a detector's picture is filled up with
_SHOWN = 0.8  # of a face: one of which less is seen is moved back into its place

Boxes = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Painted:
    """A painted picture, where the face is in it, and its background alone."""

    picture: Image.Image
    box: tuple[float, float, float, float]
    behind: Image.Image


@dataclass(frozen=True, eq=False)
class Composition:
    """uint8 [256, 256, 3] and the boxes of its faces, [n, 4]: left, top, right, bottom."""

    pixels: NDArray[np.uint8]
    boxes: Boxes


def painted(seed: int, number: int) -> Painted:
    """Picture `number` of a data set, in one of the nine shapes."""
    scene, size = scene_number(seed, number), QUARTER_BUCKETS[number % len(QUARTER_BUCKETS)]
    box = face_box(frame(scene, size), size)
    return Painted(paint(scene, size), box, finished(backdrop(scene, size)))


def compose(pictures: list[Painted], generator: np.random.Generator) -> Composition:
    """Another composition of some of the pictures, with colours and sharpness of its own."""
    if generator.random() < 0.04:
        return Composition(_nothing(generator), np.zeros((0, 4), np.float32))
    canvas = Image.new("RGB", (SIDE, SIDE), (GREY, GREY, GREY))
    boxes = []
    kind = generator.random()
    across, down = (1, 1) if kind < 0.55 else [(2, 1), (1, 2), (2, 2)][generator.integers(3)]
    for row in range(down):
        for column in range(across):
            cell = SIDE // across, SIDE // down
            chosen = pictures[generator.integers(len(pictures))]
            shown, box = _placed(chosen, cell, generator)
            canvas.paste(shown, (column * cell[0], row * cell[1]))
            if box is not None:
                boxes.append(box + np.tile((column * cell[0], row * cell[1]), 2))
    pixels = _disturbed(canvas, generator)
    found = np.array(boxes, np.float32).reshape(-1, 4)
    if generator.random() < 0.5:
        pixels, found = pixels[:, ::-1], _mirrored(found)
    return Composition(np.ascontiguousarray(pixels), found)


def _placed(
    chosen: Painted, cell: tuple[int, int], generator: np.random.Generator
) -> tuple[Image.Image, NDArray[np.float64] | None]:
    """A picture, or in one case of eight its background, somewhere in a cell."""
    empty = generator.random() < 0.12
    source = chosen.behind if empty else chosen.picture
    fits = min(cell[0] / source.width, cell[1] / source.height)
    scale = fits * generator.uniform(0.45, 1.25)
    if generator.random() < 0.3:
        scale = fits  # as a detector's letterbox shows it
    at = (np.array(cell) - np.array(source.size) * scale) * generator.random(2)
    box, whole = _moved(chosen.box, scale, at, cell)
    if not empty and whole < _SHOWN:
        scale, at = fits, (np.array(cell) - np.array(source.size) * fits) / 2
        box, _ = _moved(chosen.box, scale, at, cell)
    size = max(round(source.width * scale), 1), max(round(source.height * scale), 1)
    shown = Image.new("RGB", cell, (GREY, GREY, GREY))
    small = source.resize(size, Image.Resampling.BILINEAR)
    shown.paste(small, (round(at[0]), round(at[1])))
    return shown, None if empty else box


def _moved(
    box: tuple[float, float, float, float],
    scale: float,
    at: NDArray[np.float64],
    cell: tuple[int, int],
) -> tuple[NDArray[np.float64], float]:
    """A box where it comes to lie, cut to its cell, and which share of it is left."""
    placed = np.array(box) * scale + np.tile(at, 2)
    cut = np.clip(placed, 0, np.tile(cell, 2))
    share = np.prod(cut[2:] - cut[:2]) / np.prod(placed[2:] - placed[:2])
    return cut, float(share)


def _nothing(generator: np.random.Generator) -> NDArray[np.uint8]:
    """Noise of some coarseness: no picture at all is no face either."""
    side = SIDE // int(generator.choice((1, 2, 4, 8, 32, 256)))
    coarse = generator.integers(0, 256, (side, side, 3), dtype=np.uint8)
    grown = Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(grown)


def _mirrored(boxes: Boxes) -> Boxes:
    turned = boxes.copy()
    turned[:, [0, 2]] = SIDE - boxes[:, [2, 0]]
    return turned


def _disturbed(canvas: Image.Image, generator: np.random.Generator) -> NDArray[np.uint8]:
    if generator.random() < 0.3:
        canvas = canvas.filter(ImageFilter.GaussianBlur(float(generator.uniform(0.3, 1.6))))
    pixels: NDArray[np.floating] = np.asarray(canvas, np.float32)
    pixels = pixels * generator.uniform(0.85, 1.15, 3) + generator.uniform(-12, 12)
    if generator.random() < 0.4:
        pixels = pixels + generator.normal(0, generator.uniform(1, 10), pixels.shape)
    return np.clip(pixels, 0, 255).astype(np.uint8)
