"""Rows that know of each other are found out, at the first call where they could."""

from collections.abc import Mapping

import numpy as np
import pytest

from sakuga.engine.backend.base import Array
from sakuga.engine.backend.rows import CheckedRows
from sakuga.engine.errors import RenderError


class Network:
    """Doubles its rows, and where it leaks, a little more in calls with more than `most` rows."""

    def __init__(self, most: int = 99) -> None:
        self.most, self.calls = most, list[int]()

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        sample = inputs["sample"]
        self.calls.append(len(sample))
        leak = np.float32(1e-6 if len(sample) > self.most else 0)
        return {"noise_pred": sample * (2 + leak)}


def inputs(rows: int, side: int = 3) -> dict[str, Array]:
    return {"sample": np.ones((rows, side), np.float32), "timestep": np.ones(rows, np.float32)}


def test_the_first_call_of_a_shape_with_company_is_held_against_a_picture_alone() -> None:
    network = Network()
    checked = CheckedRows(network)
    for rows, side in ((2, 3), (6, 3), (8, 3), (4, 5), (1, 7)):
        found = checked.run(inputs(rows, side))["noise_pred"]
        assert np.array_equal(found, np.full((rows, side), 2, np.float32))
    assert network.calls == [2, 6, 2, 8, 4, 2, 1]


def test_rows_that_depend_on_company_are_an_error_every_time() -> None:
    checked = CheckedRows(Network(most=2))
    checked.run(inputs(2))
    for _ in range(2):
        with pytest.raises(RenderError, match="depend on the pictures beside it"):
            checked.run(inputs(4))
