"""Reads attributes back from a picture, by the painter's palette and the place of the face.

Knows nothing of the model or the prompt: pixels in, words out. Its own mistakes are measured on
painted pictures, where the truth is known (tests/export/demo/test_judge.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sakuga.export.demo.facefinder import find_face
from sakuga.export.demo.palette import CLOTHES, HAIR, SKIN, Colour, difference, lab
from sakuga.export.demo.scene import Frame

Pixels = NDArray[np.uint8]
Colours = NDArray[np.float64]

_MATCH = 0.4  # of a face: painted ones reach 0.7, the worst of the spoiled ones 0.4, noise 0.1
_NIGHT_BELOW = 45.0  # L* of the sky: night skies are below 30, all others above 60
_SKIN_WITHIN = 16.0  # ΔE of pixels taken for skin between strands of hair


@dataclass(frozen=True)
class Reading:
    """What a picture shows. `hair` and `cloth` are palette words, None where none can be seen."""

    hair: str | None
    cloth: str | None
    night: bool
    sharpness: float


def read(picture: Pixels) -> Reading:
    """The attributes of a picture, uint8 [height, width, 3]."""
    colours = lab(picture)
    face = find_face(colours)
    seen = face.match >= _MATCH
    return Reading(
        hair=_hair(colours, face.at) if seen else None,
        cloth=_cloth(colours, face.at) if seen else None,
        night=bool(_sky(colours) < _NIGHT_BELOW),
        sharpness=sharpness(picture),
    )


def sharpness(picture: Pixels) -> float:
    """Root mean square of the Laplacian of luma, in levels: blurred pictures have little."""
    luma = np.asarray(picture, np.float64) @ (0.299, 0.587, 0.114)
    centre = luma[1:-1, 1:-1]
    around = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:]
    return float(np.sqrt(np.mean((around - 4 * centre) ** 2)))


def _hair(colours: Colours, head: Frame) -> str | None:
    """The fringe: hair whatever the style, and below any cap."""
    fringe = _part(colours, head, across=0.6, top=-0.64, bottom=-0.44)
    return _nearest(fringe[difference(fringe, SKIN) > _SKIN_WITHIN], HAIR)


def _cloth(colours: Colours, head: Frame) -> str | None:
    """The chest below every collar, where the picture reaches down to it."""
    if head.y + 2.2 * head.unit > len(colours):
        return None
    return _nearest(_part(colours, head, across=0.55, top=1.9, bottom=2.2), CLOTHES)


def _part(colours: Colours, head: Frame, across: float, top: float, bottom: float) -> Colours:
    """Pixels [n, 3] of a rectangle given in units of half a head's height around its centre."""
    rows = (max(round(head.y + y * head.unit), 0) for y in (top, bottom))
    columns = (max(round(head.x + x * head.unit), 0) for x in (-across, across))
    return colours[slice(*rows), slice(*columns)].reshape(-1, 3)


def _nearest(pixels: Colours, palette: Mapping[str, Colour]) -> str | None:
    if len(pixels) < 6:
        return None
    colour = np.median(pixels, axis=0)
    return min(palette, key=lambda name: float(difference(colour, palette[name])))


def _sky(colours: Colours) -> float:
    height, width = colours.shape[:2]
    top = colours[: round(0.3 * height), :, 0]
    side = max(round(0.12 * width), 2)
    return float(np.median(np.concatenate([top[:, :side].ravel(), top[:, -side:].ravel()])))
