"""Mosaics: patches from all over a picture, side by side in one call of a network.

A network whose norms average over all that a call is given, and whose attention looks everywhere,
does to a patch in such company about what it does to it in the whole picture. A cell of the picture
for each patch of the mosaic, and from each cell one patch, so every mosaic is like the whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

from sakuga.kernels.tiles import Window

_PATCH = 16  # latent places of a side: what conv layers see from a place is hardly wider
_EDGE = 4  # of them at each side that neighbours disturb, and that are not looked at
_PER_WINDOW = 2  # patches each way, to know a window's colours by


@dataclass(frozen=True)
class Patch:
    """Where it lies in the whole, `source`, and where in the mosaic, `place`."""

    source: Window
    place: Window

    @property
    def core(self) -> "Patch":
        """What of it can be trusted."""
        return Patch(_core(self.source), _core(self.place))


def mosaics(whole: tuple[int, int], tile: tuple[int, int]) -> Iterator[list[Patch]]:
    """The patches of each mosaic of size `tile`, which they fill, of a larger whole. All mosaics
    together have a few patches in each window of that size, wherever it lies."""
    columns_of_each = list(_axis(whole[1], tile[1]))
    for rows in _axis(whole[0], tile[0]):
        for columns in columns_of_each:
            yield [
                Patch(
                    Window(top, left, height, width), Window(at_top, at_left, height, width)
                )
                for top, at_top, height in rows
                for left, at_left, width in columns
            ]  # fmt: skip


def _axis(whole: int, tile: int) -> Iterator[list[tuple[int, int, int]]]:
    """Of one axis of each mosaic's patches (start in the whole, start in the mosaic, length)."""
    cells = max(tile // _PATCH, 2)
    count = ceil(_PER_WINDOW * whole / (tile * cells))  # so many mosaics take turns in a cell
    edges = [tile * cell // cells for cell in range(cells + 1)]
    for turn in range(count):
        places = (cell * count + turn for cell in range(cells))
        yield [
            (round((whole - (end - at)) * place / (cells * count - 1)), at, end - at)
            for place, (at, end) in zip(places, pairwise(edges), strict=True)
        ]


def _core(window: Window) -> Window:
    edge = min(_EDGE, window.height // 4, window.width // 4)
    return Window(
        window.top + edge, window.left + edge, window.height - 2 * edge, window.width - 2 * edge
    )
