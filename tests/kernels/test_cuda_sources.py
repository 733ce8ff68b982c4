"""The CUDA sources, compiled as C++, against their NumPy twins: the same bits but for log and sin.

Sources and twins round every product and sum to float32. Only the noise goes through functions of
which two libraries may differ in the last bit of a float64; rounded to float32 that is rare and
one unit in the last place.
"""

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sakuga.kernels.denoise_step import SCRATCH, Coefficients, denoise_step
from sakuga.kernels.init_noise import init_noise
from sakuga.kernels.launch import (
    FORESIGHT,
    GIVEN,
    HISTORIES,
    LAUNCH,
    STEP_ROW,
    Records,
    Seat,
    colours_record,
    fill_launch,
    new_launch,
)
from sakuga.kernels.model_inputs import model_inputs
from sakuga.kernels.philox import normals, philox
from sakuga.kernels.preview import COLOURS, Foresight, preview
from sakuga.kernels.to_rgb8 import to_rgb8

Array = NDArray[Any]
Precision = type[np.float16] | type[np.float32]
Run = Callable[..., None]

NAMES = {np.float32: "float", np.float16: "half"}
COUNTS = (1, 7, 8, 60, 1000, 4 * 91 * 64, 4 * 13 * 9)
SEEDS = np.array([[9, 42], [7, 2**63 + 5], [2**64 - 1, 2**32 - 1]], np.uint64)
GRIDS = ((1, 1), (3, 32), (64, 128))  # blocks, threads: fewer and more than there is work


def units_apart(found: Array, wanted: Array) -> int:
    """The largest distance in units in the last place of the wanted values' type."""
    kind = np.int32 if wanted.dtype == np.float32 else np.int16
    whole = [array.view(kind).astype(np.int64) for array in (found, wanted)]
    ordered = [np.where(bits < 0, np.iinfo(kind).min - bits, bits) for bits in whole]
    return int(np.abs(ordered[0] - ordered[1]).max())


def test_records_have_the_layout_of_the_sources(host: Any) -> None:  # noqa: ANN401
    assert host.size_of_step_row() == STEP_ROW.itemsize
    assert host.size_of_launch() == LAUNCH.itemsize
    assert host.size_of_colours() == colours_record(COLOURS["sdxl"]).itemsize
    assert LAUNCH.itemsize < 4096  # what a kernel's arguments may take


def test_philox_is_the_same_bit_for_bit(host: Any) -> None:  # noqa: ANN401
    generator = np.random.default_rng(0)
    words = generator.integers(0, 2**32, (64, 4), dtype=np.uint32)
    for counter in words:
        key = tuple(int(word) for word in generator.integers(0, 2**32, 2))
        first, second, third, fourth = (np.array([word], np.uint64) for word in counter)
        twin = first, second, third, fourth
        philox(twin, (key[0], key[1]))
        host.host_philox(
            ctypes.c_void_p(counter.ctypes.data), ctypes.c_uint(key[0]), ctypes.c_uint(key[1])
        )
        assert [int(word[0]) for word in twin] == counter.tolist()


def record_of(seats: Sequence[Seat], steps: Sequence[int]) -> Records:
    record = new_launch()
    fill_launch(record, seats)
    record["entries"]["step"][: len(steps)] = steps
    return record


class Board:
    """Buffers of three slots, poisoned where nothing may be read."""

    def __init__(self, count: int, precision: Precision) -> None:
        generator = np.random.default_rng(count)

        def draw(*shape: int) -> Array:
            return generator.standard_normal(shape, np.float32)

        self.count, self.name = np.uint64(count), NAMES[precision]
        self.latents = draw(3, count)
        self.histories = draw(3, HISTORIES, count)
        self.noises = draw(3, count)
        self.outputs = draw(6, count).astype(precision)
        self.inputs = np.full((6, count), np.nan, precision)
        self.timesteps = np.full(6, np.nan, np.float32)

    def step(
        self, run: Run, seats: list[Seat], steps: list[int], table: Array, grid: tuple[int, int]
    ) -> None:
        run(
            f"denoise_step_{self.name}", (grid[0], len(seats)), grid[1], record_of(seats, steps),
            table, np.int32(table.shape[1]), SEEDS, self.count, self.count, self.noises,
            np.uint64(0), self.latents, self.histories, self.outputs, self.inputs, self.timesteps,
        )  # fmt: skip


# A sampler with noise, one with a history it reads and writes, one with guidance off and noise
# that it is given.
STEPS = (
    (Coefficients(0.9, -0.4, 0.3, (0.0, 0.0, 0.0), 0.0, 0.0, 0, 0.7), (7.0, -6.0), 3),
    (Coefficients(1.1, 0.2, 0.0, (0.5, 0.0, -0.25), 0.8, 0.1, 2, 0.4), (1.0,), 0),
    (Coefficients(0.5, 0.0, 0.7, (0.0, 1.5, 0.0), 0.0, 1.0, 1, 1.0), (0.2, 0.3, 0.5), GIVEN),
)
SEATS = [Seat(2, (5, 1)), Seat(0, (2,)), Seat(1, (0, 3, 4))]
AT = [1, 0, 1]  # rows of their tables


def row_of(
    coefficients: Coefficients, weights: Sequence[float], timestep: float, draw: int
) -> Records:
    row = np.zeros((), STEP_ROW)
    for name in ("a", "b", "c", "d", "e", "f", "c_in", "write"):
        row[name] = getattr(coefficients, name)
    row["weights"][: len(weights)] = weights
    row["timestep"], row["draw"] = timestep, draw
    return row


@pytest.mark.parametrize("precision", [np.float32, np.float16])
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("grid", GRIDS)
def test_a_step_is_the_twin_s(
    run: Run, grid: tuple[int, int], count: int, precision: Precision
) -> None:
    board, twin = Board(count, precision), Board(count, precision)
    table = np.zeros((3, 2), STEP_ROW)
    for seat, at, (coefficients, weights, draw) in zip(SEATS, AT, STEPS, strict=True):
        table[seat.slot, at] = row_of(coefficients, weights, 900.5 + seat.slot, draw)
        for k, weight in enumerate(coefficients.d):
            if weight == 0 and k != coefficients.write:
                board.histories[seat.slot, k] = twin.histories[seat.slot, k] = np.nan
    board.step(run, SEATS, AT, table, grid)
    for seat, (coefficients, weights, draw) in zip(SEATS, STEPS, strict=True):
        noise = normals(int(SEEDS[seat.slot, 1]), draw, count) if draw else None
        denoise_step(
            twin.latents[seat.slot], twin.histories[seat.slot],
            [twin.outputs[row] for row in seat.rows], weights, coefficients,
            twin.noises[seat.slot] if draw == GIVEN else noise,
            [twin.inputs[row] for row in seat.rows], np.empty((SCRATCH, count), np.float32),
        )  # fmt: skip
        for row in seat.rows:
            twin.timesteps[row] = 900.5 + seat.slot
    noisy = SEATS[0]
    quiet = [slot for slot in range(3) if slot != noisy.slot]
    np.testing.assert_array_equal(board.latents[quiet], twin.latents[quiet])
    np.testing.assert_allclose(board.latents[2], twin.latents[2], rtol=0, atol=4e-7)
    np.testing.assert_array_equal(board.histories, twin.histories)
    exact = [row for row in range(6) if row not in noisy.rows]
    np.testing.assert_array_equal(board.inputs[exact], twin.inputs[exact])
    rows = list(noisy.rows)
    assert units_apart(board.inputs[rows], twin.inputs[rows]) <= 8  # 1 of a larger number
    np.testing.assert_array_equal(board.timesteps, twin.timesteps)


def test_a_row_nobody_has_is_not_touched(run: Run) -> None:
    board = Board(60, np.float32)
    table = np.zeros((3, 1), STEP_ROW)
    board.step(run, [Seat(0, (3,))], [0], table, GRIDS[1])
    assert np.isnan(board.inputs[[0, 1, 2, 4, 5]]).all()
    assert np.isnan(board.timesteps[[0, 1, 2, 4, 5]]).all()


@pytest.mark.parametrize("count", COUNTS)
def test_the_first_noise_is_the_twin_s(run: Run, count: int) -> None:
    board = Board(count, np.float32)
    table = np.zeros((3, 2), STEP_ROW)
    table["a"][:, 0], table["draw"][2, 0] = 14.6, GIVEN
    untouched = board.latents[0].copy()
    seats = [Seat(1, ()), Seat(2, ())]
    run(
        "init_noise", (2, 2), 64, record_of(seats, [0, 0]), table, np.int32(2), SEEDS, board.count,
        board.noises, np.uint64(0), board.latents,
    )  # fmt: skip
    drawn, given = np.empty(count, np.float32), np.empty(count, np.float32)
    init_noise(normals(int(SEEDS[1, 0]), 0, count), 14.6, drawn)
    init_noise(board.noises[2], 14.6, given)
    assert units_apart(board.latents[1], drawn) <= 1
    np.testing.assert_array_equal(board.latents[2], given)
    np.testing.assert_array_equal(board.latents[0], untouched)


@pytest.mark.parametrize("precision", [np.float32, np.float16])
@pytest.mark.parametrize("count", COUNTS)
def test_model_inputs_are_the_twin_s(run: Run, count: int, precision: Precision) -> None:
    board = Board(count, precision)
    table = np.zeros((3, 4), STEP_ROW)
    table["c_in"][1, 3], table["timestep"][1, 3] = 0.37, 501.25
    table["c_in"][0, 0], table["timestep"][0, 0] = 1.5, 7.0
    seats = [Seat(1, (5, 0)), Seat(0, (2,))]
    run(
        f"model_inputs_{board.name}", (3, 2), 32, record_of(seats, [3, 0]), table, np.int32(4),
        board.count, board.count, np.uint64(0), board.latents, board.inputs, board.timesteps,
    )  # fmt: skip
    wanted = np.full((6, count), np.nan, precision)
    model_inputs(board.latents[1], 0.37, [wanted[5], wanted[0]])
    model_inputs(board.latents[0], 1.5, [wanted[2]])
    np.testing.assert_array_equal(board.inputs, wanted)
    np.testing.assert_array_equal(
        board.timesteps, np.array([501.25, np.nan, 7, np.nan, np.nan, 501.25], np.float32)
    )


def test_model_inputs_need_no_timesteps(run: Run) -> None:
    """One row of a table for all slots, and no timestep: what the VAE is given."""
    board, table = Board(64, np.float32), np.zeros(1, STEP_ROW)
    table["c_in"] = 1 / 0.13025
    run(
        "model_inputs_float", (1, 1), 32, record_of([Seat(2, (1,))], [0]), table, np.int32(0),
        board.count, board.count, np.uint64(0), board.latents, board.inputs, np.uint64(0),
    )  # fmt: skip
    np.testing.assert_array_equal(board.inputs[1], board.latents[2] * table["c_in"])


@pytest.mark.parametrize("precision", [np.float32, np.float16])
@pytest.mark.parametrize("area", [1, 7, 8, 64, 25 * 31])
@pytest.mark.parametrize("rounding", ["truncate", "round"])
def test_bytes_are_the_twin_s(
    run: Run,
    rounding: Any,  # noqa: ANN401 (the twin's own literal)
    area: int,
    precision: Precision,
) -> None:
    image = np.random.default_rng(area).uniform(-1.3, 1.3, (2, 3, 1, area)).astype(precision)
    pixels, broken = np.full((2, 1, area, 3), 77, np.uint8), np.zeros(2, np.uint32)
    arguments = (image, pixels, broken, np.uint64(area), np.int32(rounding == "round"))
    run(f"to_rgb8_{NAMES[precision]}", (2, 2), 16, *arguments)
    np.testing.assert_array_equal(pixels, to_rgb8(image, rounding))
    assert broken.tolist() == [0, 0]
    for value in (np.nan, np.inf, -np.inf):
        image[1].flat[-1], broken[...] = value, 0
        run(f"to_rgb8_{NAMES[precision]}", (2, 2), 16, *arguments)
        np.testing.assert_array_equal(pixels, to_rgb8(image, rounding))
        assert broken.tolist() == [0, 1]


@pytest.mark.parametrize("precision", [np.float32, np.float16])
@pytest.mark.parametrize("family", COLOURS)
def test_previews_are_the_twin_s(run: Run, family: str, precision: Precision) -> None:
    """Of slots with two rows and with one, from the middle of their tables."""
    generator, (height, width) = np.random.default_rng(1), (5, 7)
    latents = generator.standard_normal((3, 4, height, width), np.float32)
    outputs = generator.standard_normal((6, 4, height, width), np.float32).astype(precision)
    latents[2, 0, 0, 0] = np.nan
    seats, weights = [Seat(2, (5, 1)), Seat(0, (3,))], [(7.0, -6.0), (0.8,)]
    table = np.zeros((3, 4), STEP_ROW)
    for seat, each in zip(seats, weights, strict=True):
        table[seat.slot, 2]["weights"][: len(each)] = each
    pixels = np.zeros((2, height, width, 3), np.uint8)
    for foresight in (Foresight(1.07, -0.3), Foresight(0.5, 0.0)):
        run(
            f"preview_{NAMES[precision]}", (1, 2), 8, record_of(seats, [2, 2]), table, np.int32(4),
            np.array(foresight, FORESIGHT), colours_record(COLOURS[family]),
            np.uint64(height * width), latents, outputs, pixels,
        )  # fmt: skip
        for found, seat, each in zip(pixels, seats, weights, strict=True):
            rows = [outputs[row] for row in seat.rows]
            wanted = preview(latents[seat.slot], rows, each, foresight, COLOURS[family])
            np.testing.assert_array_equal(found, wanted)
            assert len(np.unique(found)) > 20
