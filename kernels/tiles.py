"""A large picture as overlapping windows of one size, and back without seams."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]


@dataclass(frozen=True)
class Window:
    """A part of a picture or latent: its upper left corner and its size."""

    top: int
    left: int
    height: int
    width: int

    @property
    def rows(self) -> slice:
        """Which of the whole's rows it takes."""
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        """Which of the whole's columns it takes."""
        return slice(self.left, self.left + self.width)

    def shared(self, other: "Window") -> "Window | None":
        """What lies in both, None where nothing does."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        height = min(self.top + self.height, other.top + other.height) - top
        width = min(self.left + self.width, other.left + other.width) - left
        return Window(top, left, height, width) if height > 0 and width > 0 else None

    def within(self, outer: "Window") -> "Window":
        """The same part, as it lies in a window around it."""
        return Window(self.top - outer.top, self.left - outer.left, self.height, self.width)

    def times(self, scale: int) -> "Window":
        """The same part of a whole this many times as large."""
        return Window(*(scale * each for each in (self.top, self.left, self.height, self.width)))


@dataclass(frozen=True)
class Grid:
    """Windows of one size that cover `height` x `width`, neighbours sharing at least `overlap`.

    `tile`: (height, width) of a window; a side of the whole that is shorter is taken as it is.
    `step`: windows begin at multiples of it, where the whole's sides and the tile's are such too.
    """

    height: int
    width: int
    tile: tuple[int, int]
    overlap: int
    step: int = 1

    @property
    def tops(self) -> list[int]:
        """Where windows begin, from above."""
        return _starts(self.height, self.tile[0], self.overlap, self.step)

    @property
    def lefts(self) -> list[int]:
        """Where windows begin, from the left."""
        return _starts(self.width, self.tile[1], self.overlap, self.step)

    def __iter__(self) -> Iterator[Window]:
        """All windows, row by row."""
        height, width = min(self.tile[0], self.height), min(self.tile[1], self.width)
        for top in self.tops:
            for left in self.lefts:
                yield Window(top, left, height, width)

    def weights(self, window: Window, scale: int = 1) -> Values:
        """How much of each point is the window's, [scale · height, scale · width]: where windows
        overlap, straight lines from one to the next; all windows' together are 1 everywhere."""
        down = _ramp(self.tops, self.tops.index(window.top), window.height, scale)
        across = _ramp(self.lefts, self.lefts.index(window.left), window.width, scale)
        return down[:, None] * across[None, :]


class Blend:
    """Puts windows of a grid together again, each `scale` times as large, with any channels."""

    def __init__(self, grid: Grid, channels: int, scale: int = 1) -> None:
        self._grid, self._scale = grid, scale
        self.whole = np.zeros((channels, scale * grid.height, scale * grid.width), np.float32)

    def add(self, window: Window, values: Values) -> None:
        """A window's values, [channels, scale · height, scale · width]."""
        target = window.times(self._scale)
        weights = self._grid.weights(window, self._scale)
        self.whole[:, target.rows, target.columns] += weights * values


def _starts(length: int, tile: int, overlap: int, step: int) -> list[int]:
    """Evenly spread, the first at the beginning, the last at the end."""
    last = length - tile
    if last <= 0:
        return [0]
    count = -(-last // (tile - overlap)) + 1
    # Rounded down, so neighbours may be a step further apart than evenly spread ones.
    while True:
        found = [last * at // (count - 1) // step * step for at in range(count - 1)] + [last]
        if all(after - before <= tile - overlap for before, after in pairwise(found)):
            return found
        count += 1


def _ramp(starts: list[int], at: int, length: int, scale: int) -> Values:
    """One axis of a window's weights. With three windows on one point, all three count."""
    position = np.arange(scale * length, dtype=np.float64) + (scale * starts[at] + 0.5)
    share = [_share(position, starts, each, length, scale) for each in range(len(starts))]
    weights: Values = (share[at] / np.sum(share, axis=0)).astype(np.float32)
    return weights


def _share(
    position: NDArray[np.float64], starts: list[int], at: int, length: int, scale: int
) -> NDArray[np.float64]:
    begin, end = scale * starts[at], scale * (starts[at] + length)
    up = down = np.ones_like(position)
    if at > 0:
        shared = scale * (starts[at - 1] + length) - begin
        up = (position - begin) / max(shared, 1)
    if at < len(starts) - 1:
        shared = end - scale * starts[at + 1]
        down = (end - position) / max(shared, 1)
    share: NDArray[np.float64] = np.clip(np.minimum(up, down), 0.0, 1.0)
    return share
