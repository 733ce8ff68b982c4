"""Forms of weights: which tensor a name means, and what becomes of its values."""

import numpy as np
import pytest

from sakuga.export.weight_forms import CORNERS, TRANSPOSED, formed, source

TAPS = np.arange(9.0).reshape(1, 1, 3, 3)


@pytest.mark.parametrize("ending", ["", TRANSPOSED, *CORNERS])
def test_the_end_of_a_name_is_the_form(ending: str) -> None:
    assert source("block.0.conv.weight" + ending) == "block.0.conv.weight"


def test_other_tensors_are_as_they_are() -> None:
    assert formed("conv.weight", TAPS) is TAPS
    assert np.array_equal(formed("linear.weight.T", TAPS[0, 0]), TAPS[0, 0].T)


@pytest.mark.parametrize(
    ("corner", "taps"),
    [
        ("00", [[0, 1 + 2], [3 + 6, 4 + 5 + 7 + 8]]),
        ("01", [[0 + 1, 2], [3 + 4 + 6 + 7, 5 + 8]]),
        ("10", [[0 + 3, 1 + 2 + 4 + 5], [6, 7 + 8]]),
        ("11", [[0 + 1 + 3 + 4, 2 + 5], [6 + 7, 8]]),
    ],
)
def test_taps_on_one_value_are_added(corner: str, taps: list[list[int]]) -> None:
    assert formed(f"conv.weight.fold{corner}", TAPS).tolist() == [[taps]]


def test_taps_are_added_in_float64() -> None:
    """So they are rounded once, to the type of the graph."""
    taps = np.full((1, 1, 3, 3), 2.0**-11, np.float16)
    taps[..., 2, 2] = 1
    assert formed("conv.weight.fold00", taps)[0, 0, 1, 1] == 1 + 3 * 2.0**-11
