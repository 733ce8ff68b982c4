"""Mosaics are filled, and their patches lie all over the whole."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.backend.mosaic import mosaics
from sakuga.kernels.tiles import Window

SIDES = st.integers(16, 140)


@given(SIDES, SIDES, SIDES, SIDES)
def test_patches_fill_the_mosaic_and_lie_in_the_whole(
    tall: int, wide: int, more: int, beside: int
) -> None:
    whole = tall + more, wide + beside
    for patches in mosaics(whole, (tall, wide)):
        filled = np.zeros((tall, wide), int)
        for patch in patches:
            filled[patch.place.rows, patch.place.columns] += 1
            for each in (patch, patch.core):
                assert (each.source.height, each.source.width) == (
                    each.place.height, each.place.width,
                )  # fmt: skip
            assert patch.core.source.within(patch.source) == patch.core.place.within(patch.place)
            assert 0 <= patch.source.top <= whole[0] - patch.source.height
            assert 0 <= patch.source.left <= whole[1] - patch.source.width
            assert min(patch.core.source.height, patch.core.source.width) >= 4
        assert (filled == 1).all()


@given(SIDES, SIDES, st.integers(0, 300), st.integers(0, 300), st.floats(0, 1), st.floats(0, 1))
def test_every_window_has_patches_in_it(
    tall: int, wide: int, more: int, beside: int, down: float, across: float
) -> None:
    whole = tall + more, wide + beside
    window = Window(round(down * more), round(across * beside), tall, wide)
    patches = [patch for each in mosaics(whole, (tall, wide)) for patch in each]
    shared = [patch.core.source.shared(window) for patch in patches]
    assert sum(each is not None for each in shared) >= 1


def test_each_mosaic_is_of_all_parts() -> None:
    """A patch from every cell: so its averages are near those of the whole."""
    ramp = np.linspace(0, 1, 512)
    found = list(mosaics((512, 512), (128, 128)))
    assert len(found) == 1 and len(found[0]) == 64
    found = list(mosaics((1024, 1024), (128, 128)))
    assert len(found) == 4
    for patches in mosaics((512, 384), (96, 64)):
        for axis in ("top", "left"):
            places = [ramp[getattr(patch.source, axis)] for patch in patches]
            assert max(places) - min(places) > 0.4
