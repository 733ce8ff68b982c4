"""What is behind the figure: night, day, beach, or a plain colour."""

import numpy as np
from PIL import Image

from sakuga.export.demo.palette import PLAIN_BACKGROUNDS, WHITE, Colour
from sakuga.export.demo.pen import OVERSAMPLING, Pen, canvas, gradient
from sakuga.export.demo.scene import Scene
from sakuga.profiles.buckets import Size

_NIGHT: tuple[Colour, Colour] = ((14, 18, 48), (58, 62, 120))
_DAY: tuple[Colour, Colour] = ((98, 172, 238), (206, 234, 250))
_HILL_AT_NIGHT: Colour = (22, 32, 52)
_HILL: Colour = (132, 194, 116)
_SEA: Colour = (44, 140, 196)
_SAND: Colour = (236, 222, 160)
_MOON: Colour = (250, 240, 196)


def backdrop(scene: Scene, size: Size) -> Image.Image:
    """The background alone, oversampled."""
    generator = np.random.default_rng(scene.layout.detail)
    if scene.place == "simple background":
        painting = canvas(size)
        painting.paste(PLAIN_BACKGROUNDS[scene.backdrop], (0, 0, *painting.size))
        return painting
    painting = gradient(size, *(_NIGHT if scene.night else _DAY))
    pen = Pen(painting, 0, 0, painting.height)
    wide = painting.width / painting.height
    if scene.night:
        _night_sky(pen, wide, generator)
    else:
        _clouds(pen, wide, generator)
    if scene.place == "beach":
        _shore(pen, wide, generator)
    else:
        _hills(pen, wide, _HILL_AT_NIGHT if scene.night else _HILL, generator)
    return painting


def _night_sky(pen: Pen, wide: float, generator: np.random.Generator) -> None:
    star = 1.6 * OVERSAMPLING / pen.unit
    for x, y in generator.uniform((0, 0), (wide, 0.7), (int(14 * max(wide, 1)), 2)):
        half = star * generator.uniform(0.6, 1.1)
        pen.oval((x, y), (half, half), (232, 232, 250))
    x, y = generator.uniform(0.06, 0.94) * wide, generator.uniform(0.08, 0.2)
    radius = 0.075 * min(wide, 1)
    pen.oval((x, y), (radius, radius), _MOON)


def _clouds(pen: Pen, wide: float, generator: np.random.Generator) -> None:
    for _ in range(2 + int(wide > 1.2)):
        x, y = generator.uniform(0, wide), generator.uniform(0.06, 0.34)
        scale = generator.uniform(0.07, 0.11) * min(wide, 1.2)
        for dx, dy, half in ((-1.1, 0.15, 0.6), (0, 0, 0.9), (1.0, 0.12, 0.7), (0, 0.35, 1.5)):
            flat = 0.45 if half > 1 else 0.8
            pen.oval((x + dx * scale, y + dy * scale), (half * scale, flat * half * scale), WHITE)


def _hills(pen: Pen, wide: float, colour: Colour, generator: np.random.Generator) -> None:
    crest = generator.uniform(0.74, 0.84, 4)
    points = [(wide * i / 3, float(crest[i])) for i in range(4)]
    pen.blob([(-0.3, 1.3), (-0.2, 0.8), *points, (wide + 0.2, 0.8), (wide + 0.3, 1.3)], colour)


def _shore(pen: Pen, wide: float, generator: np.random.Generator) -> None:
    horizon = generator.uniform(0.52, 0.6)
    pen.fill([(0, horizon), (wide, horizon), (wide, 1), (0, 1)], _SEA)
    edge = horizon + generator.uniform(0.14, 0.2)
    waves = [(wide * i / 4, edge + 0.015 * (-1) ** i) for i in range(5)]
    for lift, colour in ((-0.018, WHITE), (0.0, _SAND)):
        line = [(x, y + lift) for x, y in waves]
        pen.blob([(-0.3, 1.3), (-0.2, edge), *line, (wide + 0.2, edge), (wide + 0.3, 1.3)], colour)
