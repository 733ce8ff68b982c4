"""Head and face, in units of half a head's height around its centre."""

from sakuga.export.demo.palette import (
    BLUSH,
    EYES,
    HAIR,
    INK,
    SKIN,
    SKIN_SHADE,
    WHITE,
    darker,
    lighter,
)
from sakuga.export.demo.pen import Pen, mirrored
from sakuga.export.demo.scene import Frame, Scene
from sakuga.profiles.buckets import Size

_JAW = mirrored([(0.0, -1.0), (0.55, -0.86), (0.9, -0.35), (0.9, 0.2), (0.62, 0.66), (0.0, 0.92)])
_EYE_ACROSS, _EYE_DOWN = 0.42, 0.16
_MOUTH_DOWN = 0.63


def face_box(at: Frame, size: Size) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the face in a picture of this size, hair and ears left out."""
    left, right = at.x - 0.95 * at.unit, at.x + 0.95 * at.unit
    top, bottom = at.y - at.unit, at.y + 0.95 * at.unit
    return max(left, 0), max(top, 0), min(right, size.width), min(bottom, size.height)


def head(pen: Pen) -> None:
    """Neck, ears and the empty face."""
    pen.blob([(-0.2, 0.6), (-0.2, 1.15), (0.2, 1.15), (0.2, 0.6)], SKIN_SHADE)
    for side in (-1, 1):
        pen.oval((side * 0.92, 0.12), (0.13, 0.2), SKIN_SHADE)
    pen.blob(_JAW, SKIN, SKIN_SHADE, 0.035)


def features(pen: Pen, scene: Scene) -> None:
    """Eyes, brows, cheeks and mouth."""
    for side in (-1, 1):
        pen.oval((side * 0.6, 0.46), (0.15, 0.07), BLUSH)
        if scene.expression == "closed eyes":
            _closed_eye(pen, side)
        else:
            _eye(pen, side, scene)
        brow = darker(HAIR[scene.hair], 0.35)
        pen.stroke([(side * 0.24, -0.2), (side * 0.44, -0.27), (side * 0.62, -0.2)], brow, 0.045)
    _mouth(pen, scene.expression)


def glasses(pen: Pen) -> None:
    """Round frames over both eyes."""
    for side in (-1, 1):
        pen.ring((side * _EYE_ACROSS, _EYE_DOWN), (0.33, 0.33), INK, 0.06)
    pen.stroke([(-0.1, 0.12), (0.0, 0.08), (0.1, 0.12)], INK, 0.06)


def _eye(pen: Pen, side: int, scene: Scene) -> None:
    x, y = side * _EYE_ACROSS, _EYE_DOWN
    iris = EYES[scene.eyes]
    pen.oval((x, y), (0.235, 0.29), WHITE)
    pen.oval((x, y + 0.02), (0.19, 0.27), darker(iris, 0.35))
    pen.oval((x, y + 0.09), (0.165, 0.19), iris)
    pen.oval((x, y + 0.19), (0.11, 0.08), lighter(iris, 0.4))
    pen.oval((x, y), (0.075, 0.11), INK)
    pen.oval((x - 0.07, y - 0.12), (0.065, 0.075), WHITE)
    lash = [(x - side * 0.22, y - 0.18), (x, y - 0.32), (x + side * 0.26, y - 0.14)]
    pen.stroke(lash, INK, 0.085)


def _closed_eye(pen: Pen, side: int) -> None:
    x, y = side * _EYE_ACROSS, _EYE_DOWN
    pen.stroke([(x - 0.22, y + 0.02), (x, y + 0.16), (x + 0.22, y + 0.02)], INK, 0.075)


def _mouth(pen: Pen, expression: str) -> None:
    y = _MOUTH_DOWN
    if expression == "open mouth":
        lips = [(-0.17, y - 0.07), (0.0, y - 0.04), (0.17, y - 0.07), (0.0, y + 0.14)]
        pen.blob(lips, (176, 60, 72), INK, 0.03)
    elif expression == "expressionless":
        pen.stroke([(-0.09, y), (0.0, y), (0.09, y)], INK, 0.045)
    else:
        pen.stroke([(-0.19, y - 0.06), (0.0, y + 0.06), (0.19, y - 0.06)], INK, 0.05)
