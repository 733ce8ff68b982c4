"""Finds the face: the place and scale where skin lies as it does in the painter's faces.

A matched filter: the map of skin in a picture is correlated, at a row of scales, with the mean
map of some painted faces. Glasses, closed eyes and rough edges move that map little.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from sakuga.export.demo.painter import paint
from sakuga.export.demo.palette import SKIN, difference, lab
from sakuga.export.demo.scene import Frame, frame, random_scene
from sakuga.profiles.buckets import Size

Map = NDArray[np.float64]
Lines = NDArray[np.floating]

_CELL = 0.1  # a cell's side in units of half a head's height
_TOP, _BOTTOM, _LEFT, _RIGHT = -12, 13, -13, 13  # the filter's borders in cells, centre at 0
_ROWS, _COLUMNS = _BOTTOM - _TOP, _RIGHT - _LEFT
_UNITS = np.linspace(0.17, 0.32, 13)  # scales, in shares of the picture's shorter side
_SKIN_WIDTH = 14.0  # ΔE at which a pixel counts 1/e as skin
_FLAT = 0.01  # variance below which a stretch of the map counts as empty
_FACES = 40


@dataclass(frozen=True)
class Face:
    """Where the head is, and how well it matches: 1 a perfect match, noise under 0.1."""

    at: Frame
    match: float


def find_face(colours: Map) -> Face:
    """The best match, from L*a*b* [height, width, 3]."""
    sums = _summed(_skin(colours))
    height, width = colours.shape[:2]
    units = min(width * 1.05, height) * _UNITS
    return max((_best_at(sums, unit) for unit in units), key=lambda face: face.match)


def _best_at(sums: Map, unit: float) -> Face:
    side = _CELL * unit
    down, across = (
        (np.arange(int(np.ceil(length / side)) + cells + 1) - cells // 2) * side
        for length, cells in zip((sums.shape[0] - 1, sums.shape[1] - 1), (_ROWS, _COLUMNS),
                                 strict=True)
    )  # fmt: skip
    windows = sliding_window_view(_means(sums, down, across), (_ROWS, _COLUMNS))
    variance = np.maximum(windows.var((2, 3)), _FLAT)
    scores = np.einsum("ijkl,kl->ij", windows, _template())
    scores /= np.sqrt(variance * _ROWS * _COLUMNS)
    row, column = np.unravel_index(int(scores.argmax()), scores.shape)
    y, x = down[row] - _TOP * side, across[column] - _LEFT * side
    return Face(Frame(float(x), float(y), float(unit), 0.0), float(scores[row, column]))


@cache
def _template() -> Map:
    """The mean map of skin of painted faces, of mean 0 and norm 1."""
    generator, size = np.random.default_rng(5), Size(256, 256)
    total = np.zeros((_ROWS, _COLUMNS))
    for _ in range(_FACES):
        scene = replace(random_scene(generator), quality="best", framing="portrait")
        at = frame(scene, size)
        down = at.y + np.arange(_TOP, _BOTTOM + 1) * _CELL * at.unit
        across = at.x + np.arange(_LEFT, _RIGHT + 1) * _CELL * at.unit
        total += _means(_summed(_skin(lab(np.asarray(paint(scene, size))))), down, across)
    total -= total.mean()
    template: Map = total / np.linalg.norm(total)
    return template


def _skin(colours: Map) -> Map:
    """How much each pixel is like skin, 0 to 1."""
    skin: Map = np.exp(-((difference(colours, SKIN) / _SKIN_WIDTH) ** 2))
    return skin


def _summed(values: Map) -> Map:
    """Sums over all above and left: the sum of any rectangle is then four look-ups."""
    return np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0)))


def _means(sums: Map, down: Lines, across: Lines) -> Map:
    """Means of the cells between grid lines; what lies outside the picture counts as 0."""
    rows = np.clip(np.round(down).astype(int), 0, sums.shape[0] - 1)
    columns = np.clip(np.round(across).astype(int), 0, sums.shape[1] - 1)
    cells = np.diff(np.diff(sums[rows][:, columns], axis=0), axis=1)
    means: Map = cells / ((down[1] - down[0]) * (across[1] - across[0]))
    return means
