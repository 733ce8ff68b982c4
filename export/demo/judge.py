"""Reads attributes back from a picture, by the painter's palette and the place of the face.

Knows nothing of the model or the prompt: pixels in, words out. Its own mistakes are measured on
painted pictures, where the truth is known (tests/export/demo/test_judge.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sakuga.export.demo.palette import CLOTHES, HAIR, SKIN, SKIN_SHADE, Colour, lab

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_NIGHT_BELOW = 45.0  # L* of the sky: night skies are below 30, all others above 60
_SKIN_WITHIN = 13.0  # ΔE of pixels taken for skin


@dataclass(frozen=True)
class Reading:
    """What a picture shows. `hair` and `cloth` are palette words, None where none can be seen."""

    hair: str | None
    cloth: str | None
    night: bool
    sharpness: float


@dataclass(frozen=True)
class Box:
    """The visible face in pixels, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left


def read(picture: Pixels) -> Reading:
    """The attributes of a picture, uint8 [height, width, 3]."""
    colours = lab(picture)
    face = find_face(colours)
    return Reading(
        hair=None if face is None else _hair(colours, face),
        cloth=None if face is None else _cloth(colours, face),
        night=bool(_sky(colours) < _NIGHT_BELOW),
        sharpness=sharpness(picture),
    )


def find_face(colours: NDArray[np.float64]) -> Box | None:
    """Where skin is, from L*a*b* [height, width, 3]; None where there is next to none."""
    skin = _distance(colours, SKIN) < _SKIN_WITHIN
    rows = _run(skin.sum(1))
    if rows is None:
        return None
    columns = _run(skin[rows[0] : rows[1]].sum(0))
    if columns is None:
        return None
    box = Box(*rows, *columns)
    return box if min(box.height, box.width) >= 8 else None


def sharpness(picture: Pixels) -> float:
    """Root mean square of the Laplacian of luma, in levels: blurred pictures have little."""
    luma = np.asarray(picture, np.float64) @ (0.299, 0.587, 0.114)
    centre = luma[1:-1, 1:-1]
    around = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:]
    return float(np.sqrt(np.mean((around - 4 * centre) ** 2)))


def _run(counts: NDArray[np.int64]) -> tuple[int, int] | None:
    """The stretch around the largest count where counts stay above a tenth of it.

    Gaps of a few pixels are stepped over: frames of glasses make them.
    """
    wide = np.convolve(counts, np.ones(5) / 5, "same")
    peak = int(wide.argmax())
    enough = wide > max(wide[peak] / 10, 0.6)
    if not enough[peak]:
        return None
    low = peak
    while low > 0 and enough[low - 1]:
        low -= 1
    high = peak
    while high + 1 < len(counts) and enough[high + 1]:
        high += 1
    return low, high + 1


def _hair(colours: NDArray[np.float64], face: Box) -> str | None:
    """The fringe: what is not skin right above the face, under any cap."""
    top = max(face.top - round(0.14 * face.height), 0)
    inset = round(0.15 * face.width)
    part = colours[
        top : face.top + round(0.12 * face.height), face.left + inset : face.right - inset
    ]
    hair = (_distance(part, SKIN) > 22) & (_distance(part, SKIN_SHADE) > 14)
    return _nearest(part[hair], HAIR)


def _cloth(colours: NDArray[np.float64], face: Box) -> str | None:
    """The chest, where the picture reaches down to it."""
    middle, reach = (face.left + face.right) // 2, round(0.3 * face.width)
    top, bottom = (round(face.bottom + share * face.height) for share in (0.8, 1.1))
    if bottom > len(colours):
        return None
    part = colours[top:bottom, max(middle - reach, 0) : middle + reach]
    return _nearest(part.reshape(-1, 3), CLOTHES)


def _nearest(pixels: NDArray[np.float64], palette: Mapping[str, Colour]) -> str | None:
    if len(pixels) < 6:
        return None
    colour = np.median(pixels, axis=0)
    distances = {
        name: float(np.linalg.norm(colour - lab(np.array(shade))))
        for name, shade in palette.items()
    }
    return min(distances, key=lambda name: distances[name])


def _sky(colours: NDArray[np.float64]) -> float:
    height, width = colours.shape[:2]
    top = colours[: round(0.3 * height), :, 0]
    side = max(round(0.12 * width), 2)
    return float(np.median(np.concatenate([top[:, :side].ravel(), top[:, -side:].ravel()])))


def _distance(colours: NDArray[np.float64], colour: Colour) -> NDArray[np.float64]:
    distance: NDArray[np.float64] = np.linalg.norm(colours - lab(np.array(colour)), axis=-1)
    return distance
