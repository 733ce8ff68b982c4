"""The VAE on pictures of any size: in one call where they fit into one, else in windows.

The VAE's norms average over all that a call is given, and its attention looks everywhere, so a
window's colours are a little beside those of the whole. Blended windows have no seams for it, but
large soft stains. So a few calls more are made of mosaics (`mosaic.py`), whose patches have about
the colours of the whole, and each window's colours are fitted to those of the patches in it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.backend.base import Image, Latent, Moments, Session
from sakuga.engine.backend.colour_fit import ColourFit
from sakuga.engine.backend.mosaic import mosaics
from sakuga.kernels.tiles import Blend, Grid, Window
from sakuga.profiles.families import VAE_FACTOR

Shape = tuple[int, int]  # height and width of a latent
Values = NDArray[np.float32]

OVERLAP = 16  # latent places that neighbouring windows share at least


def decode(latent: Latent, session: Session, tile: Shape, overlap: int = OVERLAP) -> Image:
    """The picture, float32 [3, 8h, 8w], of a latent as the decoder wants it, float32 [4, h, w].

    `tile`: the latent of one call, nowhere larger than the whole.
    """

    def run(part: Values) -> Values:
        image: Values = session.run({"latent": part[None]})["image"][0]
        return image

    return _Passage(latent, 1, VAE_FACTOR, run).through(tile, overlap)


def encode(image: Image, session: Session, tile: Shape, overlap: int = OVERLAP) -> Moments:
    """Mean and log-variance of a picture's latent, from float32 [3, 8h, 8w] in [-1, 1].

    `tile`: the latent of one call, nowhere larger than the whole.
    """

    def run(part: Values) -> Values:
        made = session.run({"image": part[None]})
        return np.concatenate([made["mean"][0], made["logvar"][0]])

    mean, logvar = np.split(_Passage(image, VAE_FACTOR, 1, run).through(tile, overlap), 2)
    return Moments(mean, logvar)


@dataclass(frozen=True, eq=False)
class _Passage:
    """One way through the VAE: from `source`, [channels, height, width], with `given` points for
    each latent place to values with `made` points for each. `run` is a call."""

    source: Values
    given: int
    made: int
    run: Callable[[Values], Values]

    def through(self, tile: Shape, overlap: int) -> Values:
        """All of it, in windows where the tile is not the whole."""
        height, width = (side // self.given for side in self.source.shape[1:])
        if tile == (height, width):
            return self.run(self.source)
        grid = Grid(height, width, tile, min(overlap, min(tile) // 2))
        samples = list(self._samples((height, width), tile))
        first, *others = grid
        values = self._matched(first, samples)
        blend = Blend(grid, len(values), self.made)
        blend.add(first, values)
        for window in others:
            blend.add(window, self._matched(window, samples))
        return blend.whole

    def _samples(self, whole: Shape, tile: Shape) -> Iterator[tuple[Window, Values]]:
        """Parts of the whole and, for each of their latent places, what the whole makes of it."""
        for patches in mosaics(whole, tile):
            mosaic = np.empty((len(self.source), *(self.given * side for side in tile)), np.float32)
            for patch in patches:
                place = patch.place.times(self.given)
                mosaic[:, place.rows, place.columns] = self._part(patch.source)
            made = self._by_place(self.run(mosaic))
            for patch in patches:
                core = patch.core
                yield core.source, made[:, core.place.rows, core.place.columns]

    def _matched(self, window: Window, samples: list[tuple[Window, Values]]) -> Values:
        """What a call makes of the window, with the colours that the samples in it have."""
        values = self.run(np.ascontiguousarray(self._part(window)))
        by_place = self._by_place(values)
        found, wanted = [], []
        for source, sample in samples:
            shared = source.shared(window)
            if shared is not None:
                found.append(_cut(by_place, window, shared))
                wanted.append(_cut(sample, source, shared))
        if not found:
            return values
        places = by_place.reshape(len(by_place), -1)
        return ColourFit.of(np.hstack(found), np.hstack(wanted), places)(values)

    def _part(self, window: Window) -> Values:
        part = window.times(self.given)
        return self.source[:, part.rows, part.columns]

    def _by_place(self, values: Values) -> Values:
        """The mean over the points of each latent place."""
        channels, height, width = values.shape
        scale = self.made
        points = values.reshape(channels, height // scale, scale, width // scale, scale)
        means: Values = points.mean((2, 4))
        return means


def _cut(values: Values, window: Window, part: Window) -> Values:
    """The values of a part of the window, [channels, places]."""
    inner = part.within(window)
    return values[:, inner.rows, inner.columns].reshape(len(values), -1)
