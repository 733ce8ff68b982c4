"""A picture as a detector sees it: scaled to fit, grey around it, and boxes back from there."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sakuga.profiles.buckets import Size

Pixels = NDArray[np.uint8]
Boxes = NDArray[np.float32]

_GREY = 114  # what YOLO networks are trained with


@dataclass(frozen=True)
class Letterbox:
    """Where a picture lies in the network's input: scaled to `inner`, at (`left`, `top`)."""

    picture: Size
    inner: Size
    outer: Size
    left: int
    top: int

    @classmethod
    def within(cls, picture: Size, outer: Size) -> "Letterbox":
        """In the middle of an input of this size, as large as it can be."""
        inner = _scaled(picture, outer)
        # Ultralytics' rounding: of an odd rest the larger half is on the right and below.
        left = (outer.width - inner.width) // 2
        top = (outer.height - inner.height) // 2
        return cls(picture, inner, outer, left, top)

    @classmethod
    def around(cls, picture: Size, longest: Size, step: int) -> "Letterbox":
        """In the smallest input with sides that are multiples of `step`: for inputs of any size.

        `longest`: the sides that the picture is scaled to fit into.
        """
        inner = _scaled(picture, longest)
        outer = Size(-(-inner.width // step) * step, -(-inner.height // step) * step)
        return cls.within(picture, outer)

    def filled(self, pixels: Pixels) -> Pixels:
        """The input, uint8 [outer height, outer width, 3], from the picture's pixels."""
        shown = np.full((self.outer.height, self.outer.width, 3), _GREY, np.uint8)
        rows = slice(self.top, self.top + self.inner.height)
        columns = slice(self.left, self.left + self.inner.width)
        shown[rows, columns] = _resized(pixels, self.inner)
        return shown

    def to_picture(self, boxes: Boxes) -> Boxes:
        """Boxes [n, 4] (left, top, right, bottom) of the input in the picture, cut to it."""
        across = self.picture.width / self.inner.width
        down = self.picture.height / self.inner.height
        moved = (boxes - np.tile((self.left, self.top), 2)) * np.tile((across, down), 2)
        most = np.tile((self.picture.width, self.picture.height), 2)
        cut: Boxes = np.clip(moved, 0, most).astype(np.float32)
        return cut

    def to_input(self, boxes: Boxes) -> Boxes:
        """Boxes [n, 4] of the picture where they lie in the input."""
        across = self.inner.width / self.picture.width
        down = self.inner.height / self.picture.height
        moved: Boxes = boxes * np.tile((across, down), 2) + np.tile((self.left, self.top), 2)
        return moved.astype(np.float32)


def _scaled(picture: Size, room: Size) -> Size:
    scale = min(room.width / picture.width, room.height / picture.height)
    return Size(max(round(picture.width * scale), 1), max(round(picture.height * scale), 1))


def _resized(pixels: Pixels, size: Size) -> Pixels:
    """Linear between the four nearest pixels, also where it shrinks: so the networks are trained,
    and smoother pictures than they know make them less sure."""
    height, width = pixels.shape[:2]
    if (width, height) == (size.width, size.height):
        return pixels
    above, below, down = _neighbours(height, size.height)
    before, behind, across = _neighbours(width, size.width)
    rows = pixels[above] * (1 - down)[:, None, None] + pixels[below] * down[:, None, None]
    values = rows[:, before] * (1 - across)[:, None] + rows[:, behind] * across[:, None]
    return np.rint(values).astype(np.uint8)


def _neighbours(
    length: int, wanted: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """For each new pixel the old ones on both sides, and how far it lies towards the second."""
    at = (np.arange(wanted, dtype=np.float32) + 0.5) * np.float32(length / wanted) - 0.5
    first = np.floor(at)
    low, high = (np.clip(first + step, 0, length - 1).astype(np.intp) for step in (0, 1))
    return low, high, (at - first).astype(np.float32)
