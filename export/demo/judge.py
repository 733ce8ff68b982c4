"""Reads attributes back from a picture, by the painter's palette and the place of the face.

`read` knows nothing of the model or the prompt: pixels in, words out. `agreement` holds what it
read against a prompt. Its own mistakes are measured on painted pictures, where the truth is known
(tests/export/demo/test_judge.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sakuga.export.demo.facefinder import find_face
from sakuga.export.demo.palette import CLOTHES, EYES, HAIR, SKIN, Colour, darker, difference, lab
from sakuga.export.demo.scene import GARMENTS, Frame

Pixels = NDArray[np.uint8]
Colours = NDArray[np.float64]

_MATCH = 0.39  # of a face: painted ones reach 0.7, the worst of spoiled ones this, noise 0.1
_NIGHT_BELOW = 45.0  # L* of the sky: night skies are below 30, all others above 60
_SKIN_WITHIN = 16.0  # ΔE of pixels taken for skin between strands of hair
_IRIS_WITHIN = 16.0  # ΔE of pixels taken for an iris or its rim
_ENOUGH = 6  # pixels to name a colour from


@dataclass(frozen=True)
class Reading:
    """What a picture shows.

    `hair`, `eyes` and `cloth` are palette words, None where none can be seen: no face, eyes that
    are closed, a chest below the picture.
    """

    hair: str | None
    eyes: str | None
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
        eyes=_eyes(colours, face.at) if seen else None,
        cloth=_cloth(colours, face.at) if seen else None,
        night=bool(_sky(colours) < _NIGHT_BELOW),
        sharpness=sharpness(picture),
    )


def agreement(prompt: str, seen: Reading) -> dict[str, bool]:
    """Whether a picture shows what a prompt asks for, by attribute.

    Of `hair`, `eyes`, `cloth` and `night` those are there that the prompt names and the reading
    can tell. Hair that cannot be seen is wrong; clothes or eyes that cannot be seen are left out.
    """
    found: dict[str, bool] = {}
    for tag in (tag.strip() for tag in prompt.split(",")):
        cloth, _, garment = tag.partition(" ")
        if tag in HAIR:
            found["hair"] = seen.hair == tag
        elif tag in EYES and seen.eyes is not None:
            found["eyes"] = seen.eyes == tag
        elif cloth in CLOTHES and garment in GARMENTS and seen.cloth is not None:
            found["cloth"] = seen.cloth == cloth
        elif tag in ("night", "night sky"):
            found["night"] = seen.night
        elif tag in ("day", "blue sky", "beach"):
            found["night"] = not seen.night
    return found


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


def _eyes(colours: Colours, head: Frame) -> str | None:
    """Both irises: each pixel near the colour of one votes for it."""
    sides = (-1, 1)
    pixels = np.concatenate(
        [_rectangle(colours, head, sorted((side * 0.26, side * 0.58)), (0.02, 0.40))
         for side in sides]
    )  # fmt: skip
    distances = np.stack(
        [np.minimum(difference(pixels, colour), difference(pixels, darker(colour, 0.35)))
         for colour in EYES.values()]
    )  # fmt: skip
    votes = np.bincount(distances.argmin(0)[distances.min(0) < _IRIS_WITHIN], minlength=len(EYES))
    return list(EYES)[int(votes.argmax())] if votes.sum() >= _ENOUGH else None


def _cloth(colours: Colours, head: Frame) -> str | None:
    """The chest below every collar, where the picture reaches down to it."""
    if head.y + 2.2 * head.unit > len(colours):
        return None
    return _nearest(_part(colours, head, across=0.55, top=1.9, bottom=2.2), CLOTHES)


def _part(colours: Colours, head: Frame, across: float, top: float, bottom: float) -> Colours:
    """Pixels [n, 3] of a rectangle around the middle of the head."""
    return _rectangle(colours, head, (-across, across), (top, bottom))


def _rectangle(
    colours: Colours, head: Frame, across: Sequence[float], down: Sequence[float]
) -> Colours:
    """Pixels [n, 3] of a rectangle given in units of half a head's height around its centre."""
    rows = (max(round(head.y + y * head.unit), 0) for y in down)
    columns = (max(round(head.x + x * head.unit), 0) for x in across)
    return colours[slice(*rows), slice(*columns)].reshape(-1, 3)


def _nearest(pixels: Colours, palette: Mapping[str, Colour]) -> str | None:
    if len(pixels) < _ENOUGH:
        return None
    colour = np.median(pixels, axis=0)
    return min(palette, key=lambda name: float(difference(colour, palette[name])))


def _sky(colours: Colours) -> float:
    height, width = colours.shape[:2]
    top = colours[: round(0.3 * height), :, 0]
    side = max(round(0.12 * width), 2)
    return float(np.median(np.concatenate([top[:, :side].ravel(), top[:, -side:].ravel()])))
