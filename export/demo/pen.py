"""Shapes in units of a figure, drawn onto a picture of twice the size and then halved."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sakuga.export.demo.palette import Colour
from sakuga.profiles.buckets import Size

OVERSAMPLING = 2

Point = tuple[float, float]


@dataclass(frozen=True)
class Pen:
    """Draws in a frame of its own: origin and unit in pixels, turned by `tilt` degrees."""

    canvas: Image.Image
    x: float
    y: float
    unit: float
    tilt: float = 0.0

    def fill(self, points: Sequence[Point], colour: Colour) -> None:
        """A polygon with straight sides."""
        self._draw.polygon(self._pixels(points), fill=colour)

    def blob(
        self, points: Sequence[Point], colour: Colour, edge: Colour | None = None, width: float = 0
    ) -> None:
        """A closed smooth curve through the points, with a line around it where `edge` is given."""
        outline = self._pixels(smooth(points))
        self._draw.polygon(outline, fill=colour)
        if edge is not None:
            self._line([*outline, outline[0], outline[1]], edge, width)

    def oval(self, centre: Point, half: Point, colour: Colour) -> None:
        """An ellipse, upright in the pen's own frame."""
        self._draw.polygon(self._pixels(_oval(centre, half)), fill=colour)

    def ring(self, centre: Point, half: Point, colour: Colour, width: float) -> None:
        """The outline of an ellipse."""
        points = self._pixels(_oval(centre, half))
        self._line([*points, points[0], points[1]], colour, width)

    def stroke(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """A smooth open line through the points."""
        self._line(self._pixels(smooth(points, closed=False)), colour, width)

    def line(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """A line with straight parts."""
        self._line(self._pixels(points), colour, width)

    @property
    def _draw(self) -> ImageDraw.ImageDraw:
        return ImageDraw.Draw(self.canvas)

    def _line(self, pixels: list[Point], colour: Colour, width: float) -> None:
        self._draw.line(pixels, fill=colour, width=max(round(width * self.unit), 1), joint="curve")

    def _pixels(self, points: Sequence[Point]) -> list[Point]:
        turn = math.radians(self.tilt)
        cos, sin = math.cos(turn) * self.unit, math.sin(turn) * self.unit
        return [(self.x + cos * x - sin * y, self.y + sin * x + cos * y) for x, y in points]


def canvas(size: Size) -> Image.Image:
    """An empty picture, oversampled."""
    return Image.new("RGB", (size.width * OVERSAMPLING, size.height * OVERSAMPLING))


def finished(painting: Image.Image) -> Image.Image:
    """The picture at its own size: each pixel the mean of the ones painted there."""
    return painting.reduce(OVERSAMPLING)


def gradient(size: Size, top: Colour, bottom: Colour) -> Image.Image:
    """An oversampled picture that fades from top to bottom."""
    painting = canvas(size)
    share = np.linspace(0, 1, painting.height)[:, None]
    column = np.array(top) * (1 - share) + np.array(bottom) * share
    rows = np.repeat(column[:, None, :], painting.width, axis=1)
    return Image.fromarray(np.round(rows).astype(np.uint8))


def smooth(points: Sequence[Point], closed: bool = True, steps: int = 8) -> list[Point]:
    """A Catmull-Rom spline through the points."""
    knots = np.array(points, np.float64)
    ends = (knots[-1:], knots[:2]) if closed else (knots[:1], knots[-1:])
    padded = np.concatenate([ends[0], knots, ends[1]])
    p0, p1, p2, p3 = (padded[i : len(padded) - 3 + i, None] for i in range(4))
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    curve: NDArray[np.float64] = 0.5 * (
        2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
        + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )  # fmt: skip
    found = [(float(x), float(y)) for x, y in curve.reshape(-1, 2)]
    return found if closed else [*found, points[-1]]


def mirrored(points: Sequence[Point]) -> list[Point]:
    """The points and their mirror images, as one closed outline around the middle line."""
    return [*points, *((-x, y) for x, y in reversed(points) if x != 0)]


def _oval(centre: Point, half: Point) -> list[Point]:
    angles = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    return [
        (centre[0] + half[0] * math.cos(angle), centre[1] + half[1] * math.sin(angle))
        for angle in angles
    ]
