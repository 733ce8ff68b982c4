"""Windows cover everything, keep their overlap, and their weights are one everywhere."""

from itertools import pairwise

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sakuga.kernels.tiles import Blend, Grid, Window

SIDES = st.integers(1, 40)


@settings(max_examples=50, deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 9), st.sampled_from([1, 2, 3]))
def test_windows_put_together_are_the_whole(
    height: int, width: int, tall: int, wide: int, overlap: int, scale: int
) -> None:
    assume(2 * overlap <= min(tall, wide))
    grid = Grid(height, width, (tall, wide), overlap)
    whole = np.random.default_rng(0).normal(size=(2, scale * height, scale * width))
    blend = Blend(grid, 2, scale)
    for window in grid:
        part = window.times(scale)
        assert (window.height, window.width) == (min(tall, height), min(wide, width))
        blend.add(window, whole[:, part.rows, part.columns].astype(np.float32))
    np.testing.assert_allclose(blend.whole, whole, atol=1e-5)
    for starts, side in ((grid.tops, tall), (grid.lefts, wide)):
        assert all(0 < after - before <= side - overlap for before, after in pairwise(starts))


@given(st.integers(2, 60), st.integers(2, 20), st.integers(0, 8))
def test_windows_begin_at_multiples(length: int, tile: int, overlap: int) -> None:
    assume(overlap <= tile - 1)
    grid = Grid(8 * length, 8 * length, (8 * tile, 8 * tile), 8 * overlap, step=8)
    assert all(start % 8 == 0 for start in grid.tops)
    assert all(after - before <= 8 * (tile - overlap) for before, after in pairwise(grid.tops))


@given(*[st.integers(0, 12)] * 4, *[st.integers(1, 9)] * 4)
def test_what_two_windows_share(
    top: int, left: int, down: int, right: int, tall: int, wide: int, high: int, broad: int
) -> None:
    one, other = Window(top, left, tall, wide), Window(down, right, high, broad)
    marks = np.zeros((25, 25), int)
    for each in (one, other):
        marks[each.rows, each.columns] += 1
    both, shared = (marks == 2).sum(), one.shared(other)
    assert shared == other.shared(one)
    assert both == (0 if shared is None else shared.height * shared.width)
    if shared is not None:
        inner = shared.within(one)
        assert (marks[one.rows, one.columns][inner.rows, inner.columns] == 2).all()
