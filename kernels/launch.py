"""What a kernel launch works on, as NumPy records with the layout of kernels/cuda/slots.cuh, and
of kernels/cuda/preview.cu for its colours.

A slot's table lies on the device before the loop: row 0 begins the slot, row k is what follows its
evaluation k. A launch names, for each slot, the row of its table and the rows of the network that
are the slot's.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sakuga.kernels.denoise_step import Coefficients
from sakuga.kernels.guide import Hold
from sakuga.kernels.preview import Colours

ROWS = 8  # of a slot in one call
HISTORIES = 3  # what the most demanding sampler keeps
ENTRIES = 32  # slots of one launch
GUIDES = 3  # of a slot: its clean latent, its first noise, its mask
SEEDS = 2  # of a slot: of its first latent, of the noise its steps add
MIXES = ("seen", "kept", "shown")
GIVEN = 0xFFFFFFFF  # as a draw's number: the noise lies in a buffer

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
        ("p", np.float32),
        ("q", np.float32),
        ("seen", np.float32, 2),
        ("kept", np.float32, 2),
        ("shown", np.float32, 2),
        ("timestep", np.float32),
        ("draw", np.uint32),
        ("write", np.int32),
    ],
    align=True,
)
ENTRY = np.dtype(
    [("slot", np.int32), ("step", np.int32), ("count", np.int32), ("rows", np.int16, ROWS)],
    align=True,
)
LAUNCH = np.dtype([("entries", ENTRY, ENTRIES)], align=True)
FORESIGHT = np.dtype([("a", np.float32), ("b", np.float32)])  # of a preview
_COLOURS = np.dtype([("factors", np.float32, (4, 3)), ("offsets", np.float32, 3)], align=True)

Records = NDArray[np.void]


class Seat(NamedTuple):
    """Where a slot sits: its place, and its rows in the network's inputs and outputs."""

    slot: int
    rows: tuple[int, ...]


def coefficients_of(row: np.void) -> Coefficients:
    """What a STEP_ROW says of the latent."""
    return Coefficients(
        a=float(row["a"]),
        b=float(row["b"]),
        c=float(row["c"]),
        d=tuple(row["d"].tolist()),
        e=float(row["e"]),
        f=float(row["f"]),
        write=int(row["write"]),
        c_in=float(row["c_in"]),
    )


def hold_of(row: np.void) -> Hold:
    """What a STEP_ROW says of the guide."""
    seen, kept, shown = ((float(row[name][0]), float(row[name][1])) for name in MIXES)
    return Hold(float(row["p"]), float(row["q"]), seen, kept, shown)


def fill_launch(record: Records, seats: Sequence[Seat]) -> None:
    """Write the seats into a LAUNCH scalar, about 1 KB that a launch passes by value.

    The entries' `step` is left for the caller, for it alone changes from launch to launch.
    """
    assert 0 < len(seats) <= ENTRIES
    for entry, seat in zip(record["entries"], seats, strict=False):
        entry["slot"], entry["count"] = seat.slot, len(seat.rows)
        entry["rows"][: len(seat.rows)] = seat.rows


def new_launch() -> Records:
    """A LAUNCH scalar to fill."""
    return np.zeros((), LAUNCH)


def colours_record(colours: Colours) -> Records:
    """A family's colours as a scalar that a launch passes by value."""
    record = np.zeros((), _COLOURS)
    record["factors"], record["offsets"] = colours
    return record
