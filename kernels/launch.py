"""What a kernel launch works on, as NumPy records with the layout of kernels/cuda/slots.cuh.

A slot's table of evaluations lies on the device before the loop; a launch names, for each slot,
the row of its table and the places of its rows in the network's output and next input.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sakuga.kernels.denoise_step import Coefficients

ROWS = 8  # of a slot in one call
HISTORIES = 3
ENTRIES = 32  # slots of one launch

STEP_ROW = np.dtype(
    [
        ("a", np.float32),
        ("b", np.float32),
        ("c", np.float32),
        ("e", np.float32),
        ("f", np.float32),
        ("c_in", np.float32),
        ("d", np.float32, HISTORIES),
        ("weights", np.float32, ROWS),
        ("timestep", np.float32),
        ("draw", np.uint32),
        ("write", np.int32),
    ],
    align=True,
)
ENTRY = np.dtype(
    [
        ("slot", np.int32),
        ("step", np.int32),
        ("outputs", np.int16),
        ("inputs", np.int16),
        ("output_rows", np.int16, ROWS),
        ("input_rows", np.int16, ROWS),
    ],
    align=True,
)
LAUNCH = np.dtype([("entries", ENTRY, ENTRIES)], align=True)


class Part(NamedTuple):
    """A slot's part of one launch: the row of its table, its rows in this call and the next."""

    slot: int
    step: int
    output_rows: Sequence[int]
    input_rows: Sequence[int]


def step_row(
    coefficients: Coefficients, weights: Sequence[float], timestep: float, draw: int
) -> NDArray[np.void]:
    """One row of a slot's table, a STEP_ROW scalar; `timestep` is the next evaluation's."""
    assert len(weights) <= ROWS and len(coefficients.d) <= HISTORIES
    row = np.zeros((), STEP_ROW)
    for name in ("a", "b", "c", "e", "f", "c_in", "write"):
        row[name] = getattr(coefficients, name)
    row["d"][: len(coefficients.d)] = coefficients.d
    row["weights"][: len(weights)] = weights
    row["timestep"], row["draw"] = timestep, draw
    return row


def launch(parts: Sequence[Part]) -> NDArray[np.void]:
    """The argument of one launch, a LAUNCH scalar of about 1.5 KB, passed by value."""
    assert 0 < len(parts) <= ENTRIES
    record = np.zeros((), LAUNCH)
    for entry, part in zip(record["entries"], parts, strict=False):
        entry["slot"], entry["step"] = part.slot, part.step
        entry["outputs"], entry["inputs"] = len(part.output_rows), len(part.input_rows)
        entry["output_rows"][: len(part.output_rows)] = part.output_rows
        entry["input_rows"][: len(part.input_rows)] = part.input_rows
    return record
