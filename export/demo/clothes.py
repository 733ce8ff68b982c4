"""Shoulders and what is worn on them."""

from sakuga.export.demo.palette import CLOTHES, SKIN, WHITE, Colour, darker, lighter
from sakuga.export.demo.pen import Pen, mirrored
from sakuga.export.demo.scene import Scene

_LINE = 0.04
_BODY = mirrored(
    [(0.0, 1.0), (0.3, 1.04), (0.66, 1.14), (0.88, 1.5), (0.96, 2.6), (1.02, 4.6), (0.0, 4.6)]
)


def clothes(pen: Pen, scene: Scene) -> None:
    """Body and garment below the head; the neck is drawn with the head."""
    colour = CLOTHES[scene.cloth]
    line = darker(colour, 0.45)
    pen.blob(_BODY, colour, line, _LINE)
    for side in (-1, 1):  # the arms' inner lines
        pen.stroke([(side * 0.62, 1.75), (side * 0.64, 2.6), (side * 0.66, 4.6)], line, _LINE)
    _GARMENTS[scene.garment](pen, colour)


def _sweater(pen: Pen, colour: Colour) -> None:
    collar = [(-0.34, 0.98), (0.0, 1.06), (0.34, 0.98), (0.38, 1.24), (0.0, 1.34), (-0.38, 1.24)]
    pen.blob(collar, darker(colour, 0.14), darker(colour, 0.45), _LINE)
    for y in (1.75, 2.1):
        pen.stroke([(-0.5, y), (0.0, y + 0.06), (0.5, y)], darker(colour, 0.2), 0.06)


def _hoodie(pen: Pen, colour: Colour) -> None:
    hood = [(-0.68, 1.1), (-0.3, 0.98), (0.0, 1.3), (0.3, 0.98), (0.68, 1.1), (0.0, 1.58)]
    pen.blob(hood, darker(colour, 0.2), darker(colour, 0.45), _LINE)
    for side in (-1, 1):
        pen.stroke([(side * 0.16, 1.45), (side * 0.18, 1.95)], lighter(colour, 0.7), 0.06)


def _uniform(pen: Pen, colour: Colour) -> None:
    pen.fill([(-0.24, 0.98), (0.24, 0.98), (0.0, 1.5)], SKIN)
    trim = WHITE if sum(colour) < 600 else (70, 90, 150)
    for side in (-1, 1):
        flap = [(side * 0.2, 0.98), (side * 0.7, 1.16), (side * 0.56, 1.5), (0.0, 1.62)]
        pen.fill([*flap, (side * 0.02, 1.5)], trim)
    bow = (206, 52, 64) if colour[0] < 150 or colour[1] > 150 else (60, 84, 170)
    pen.fill([(0.0, 1.62), (-0.3, 1.5), (-0.28, 1.84)], bow)
    pen.fill([(0.0, 1.62), (0.3, 1.5), (0.28, 1.84)], bow)


def _dress(pen: Pen, colour: Colour) -> None:
    neckline = [(-0.5, 1.0), (0.0, 0.96), (0.5, 1.0), (0.4, 1.3), (0.0, 1.44), (-0.4, 1.3)]
    pen.blob(neckline, SKIN)
    pen.stroke([(-0.52, 1.1), (-0.38, 1.32), (0.0, 1.46), (0.38, 1.32), (0.52, 1.1)], WHITE, 0.09)
    pen.stroke([(-0.58, 2.2), (0.0, 2.3), (0.58, 2.2)], lighter(colour, 0.6), 0.12)


_GARMENTS = {"sweater": _sweater, "hoodie": _hoodie, "school uniform": _uniform, "dress": _dress}
