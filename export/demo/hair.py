"""Hair: what hangs behind the figure, and the crown, fringe and locks over the face."""

import numpy as np

from sakuga.export.demo.palette import CLOTHES, HAIR, Colour, darker, lighter
from sakuga.export.demo.pen import Pen, Point, mirrored, smooth
from sakuga.export.demo.scene import Scene

_LINE = 0.035
_CROWN: list[Point] = [(1.0, 0.1), (1.1, -0.35), (0.9, -0.85), (0.48, -1.14)]


def behind(pen: Pen, scene: Scene) -> None:
    """The part of the hair that the figure covers."""
    colour = HAIR[scene.hair]
    shade, line = darker(colour, 0.22), darker(colour, 0.5)
    if scene.style == "long hair":
        pen.blob(mirrored([(0.0, -1.1), (0.95, -0.7), (1.2, 0.3), (1.28, 1.5), (0.7, 1.9)]), shade,
                 line, _LINE)  # fmt: skip
    elif scene.style == "twintails":
        for side in (-1, 1):
            tail = [(0.85, -0.6), (1.4, -0.55), (1.62, 0.2), (1.46, 1.2), (1.2, 1.5), (1.12, 0.6)]
            pen.blob([(side * x, y) for x, y in tail], colour, line, _LINE)
        pen.blob(mirrored([(0.0, -1.0), (1.0, -0.4), (0.98, 0.5), (0.5, 0.75)]), shade)
    elif scene.style == "ponytail":
        tail = [(0.4, -1.05), (1.05, -1.3), (1.55, -0.7), (1.5, 0.4), (1.24, 1.25), (1.1, 0.3)]
        pen.blob(tail, colour, line, _LINE)
        pen.blob(mirrored([(0.0, -1.0), (1.0, -0.4), (0.98, 0.5), (0.5, 0.75)]), shade)
    else:
        pen.blob(mirrored([(0.0, -1.1), (1.0, -0.6), (1.1, 0.2), (0.95, 0.78), (0.4, 0.9)]), shade,
                 line, _LINE)  # fmt: skip
    if scene.style == "spiked hair":
        _spikes(pen, scene)


def before(pen: Pen, scene: Scene) -> None:
    """Crown, fringe and side locks, over the face."""
    colour = HAIR[scene.hair]
    line = darker(colour, 0.5)
    generator = np.random.default_rng(scene.layout.detail + 1)
    if scene.style != "spiked hair":
        _locks(pen, scene)
    crown = smooth([*_CROWN, (0.0, -1.24), *((-x, y) for x, y in reversed(_CROWN))], closed=False)
    tips = _fringe(generator)
    pen.fill([*crown, *tips], colour)
    pen.stroke([*_CROWN, (0.0, -1.24), *((-x, y) for x, y in reversed(_CROWN))], line, _LINE)
    pen.line(tips, line, _LINE)
    gloss = lighter(colour, 0.4)
    pen.stroke([(-0.68, -0.74), (-0.36, -0.87), (0.0, -0.91), (0.36, -0.87)], gloss, 0.09)


def ribbon(pen: Pen, scene: Scene) -> None:
    """A bow at the side of the head, in a colour of its own."""
    colour = _trim(scene, 2)
    x, y = -0.82, -0.82
    for side in (-1, 1):
        pen.blob([(x, y), (x + side * 0.36, y - 0.26), (x + side * 0.4, y + 0.24)], colour,
                 darker(colour, 0.45), _LINE)  # fmt: skip
    pen.oval((x, y), (0.1, 0.12), darker(colour, 0.25))


def beanie(pen: Pen, scene: Scene) -> None:
    """A knitted cap down to the fringe."""
    colour = _trim(scene, 3)
    line = darker(colour, 0.45)
    cap = [(1.12, -0.55), (1.06, -1.0), (0.62, -1.42), (0.0, -1.54)]
    pen.blob([*cap, *((-x, y) for x, y in reversed(cap[:-1])), (0.0, -0.68)], colour, line, _LINE)
    band = [(1.16, -0.5), (1.16, -0.8), (0.6, -0.98), (0.0, -1.03)]
    low = [(-0.6, -0.72), (0.0, -0.77), (0.6, -0.72)]
    points = [*band, *((-x, y) for x, y in reversed(band[:-1])), *low]
    pen.blob(points, darker(colour, 0.18), line, _LINE)


def _trim(scene: Scene, salt: int) -> Colour:
    names = [name for name in CLOTHES if name != scene.cloth]
    return CLOTHES[names[(scene.layout.detail // 7 + salt) % len(names)]]


def _fringe(generator: np.random.Generator) -> list[Point]:
    """A zigzag over the forehead, from left to right."""
    count = int(generator.integers(4, 7))
    across = np.linspace(-0.86, 0.86, 2 * count + 1)
    tips = generator.uniform(-0.26, -0.04, count)
    zigzag = [
        (float(x), float(tips[i // 2]) if i % 2 else -0.4 - 0.12 * (1 - abs(float(x))))
        for i, x in enumerate(across)
    ]
    zigzag[0], zigzag[-1] = (-0.88, 0.05), (0.88, 0.05)
    return zigzag


def _locks(pen: Pen, scene: Scene) -> None:
    colour = HAIR[scene.hair]
    end = {"long hair": 1.55, "short hair": 0.72}.get(scene.style, 0.98)
    for side in (-1, 1):
        lock = [(0.82, -0.5), (1.06, -0.3), (1.1, 0.3), (0.98, end), (0.84, 0.4)]
        pen.blob([(side * x, y) for x, y in lock], colour, darker(colour, 0.5), _LINE)


def _spikes(pen: Pen, scene: Scene) -> None:
    colour = HAIR[scene.hair]
    generator = np.random.default_rng(scene.layout.detail + 2)
    angles = np.linspace(-2.9, -0.24, 17)
    reach = np.where(np.arange(17) % 2, generator.uniform(1.38, 1.55, 17), 1.08)
    points = [
        (float(r * np.cos(a)), float(r * np.sin(a) + 0.05))
        for a, r in zip(angles, reach, strict=True)
    ]
    pen.fill([*points, (0.9, 0.3), (-0.9, 0.3)], colour)
    pen.line(points, darker(colour, 0.5), _LINE)
