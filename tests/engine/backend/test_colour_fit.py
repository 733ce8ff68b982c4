"""Colours that differ by an affine map are mapped onto each other; few samples change little."""

import numpy as np
import pytest

from sakuga.engine.backend.colour_fit import ColourFit

RANDOM = np.random.default_rng(3)
COLOURS = RANDOM.normal(0, 0.4, (3, 400)).astype(np.float32)
GAIN = np.array([[1.1, 0.02, 0], [0, 0.95, -0.03], [0.05, 0, 1.0]], np.float32)
OFFSET = np.array([[0.1], [-0.05], [0.02]], np.float32)


def error(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.sqrt(np.mean((found - wanted) ** 2)))


def test_an_affine_change_is_nearly_undone() -> None:
    wanted = GAIN @ COLOURS + OFFSET
    fit = ColourFit.of(COLOURS, wanted, COLOURS)
    picture = RANDOM.normal(0, 0.4, (3, 20, 30)).astype(np.float32)
    true = (GAIN @ picture.reshape(3, -1) + OFFSET).reshape(3, 20, 30)
    assert error(fit(picture), true) < error(picture, true) / 4
    assert fit(picture).dtype == np.float32


def test_the_same_stays_the_same() -> None:
    fit = ColourFit.of(COLOURS, COLOURS, COLOURS)
    assert error(fit(COLOURS.reshape(3, 20, 20)), COLOURS.reshape(3, 20, 20)) < 1e-6


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_units_do_not_matter(scale: float) -> None:
    wanted = GAIN @ COLOURS + OFFSET
    fit = ColourFit.of(scale * COLOURS, scale * wanted, scale * COLOURS)
    assert error(fit(scale * COLOURS[:, None]), scale * wanted[:, None]) < 0.05 * scale


def test_of_one_colour_only_the_offset_is_known() -> None:
    grey = np.full((3, 64), 0.25, np.float32)
    fit = ColourFit.of(grey, grey + OFFSET, COLOURS)
    assert np.abs(fit.matrix).max() < 1e-3
    np.testing.assert_allclose(fit(COLOURS[:, None]), COLOURS[:, None] + OFFSET[:, None], atol=1e-3)


def test_samples_that_are_alike_say_nothing_of_other_colours() -> None:
    """All nearly grey, and their differences noise: which a slope must not make large."""
    grey = (0.01 * COLOURS).astype(np.float32)
    noise = RANDOM.normal(0, 0.01, grey.shape).astype(np.float32)
    fit = ColourFit.of(grey, grey + noise + OFFSET, COLOURS)
    assert error(fit(COLOURS[:, None]), COLOURS[:, None] + OFFSET[:, None]) < 0.01


def test_what_is_not_finite_stays_so() -> None:
    """A picture of NaN must be seen by whoever looks for them."""
    for wrong in (np.nan, np.inf):
        broken = COLOURS.copy()
        broken[1, 5] = wrong
        with np.errstate(invalid="ignore"):
            fit = ColourFit.of(broken, COLOURS, broken)
            assert not np.isfinite(fit(COLOURS[:, None])).all()
