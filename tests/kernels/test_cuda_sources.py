"""The CUDA sources, compiled as C++, against their NumPy twins: the same bits but for log and sin.

Sources and twins round every product and sum to float32. Only the noise goes through functions of
which two libraries may differ in the last bit of a float64; rounded to float32 that is rare and
one unit in the last place.
"""

import ctypes
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sakuga.kernels.denoise_step import SCRATCH, Coefficients, denoise_step
from sakuga.kernels.init_noise import init_noise
from sakuga.kernels.launch import HISTORIES, LAUNCH, STEP_ROW, Part, launch, step_row
from sakuga.kernels.philox import normals, philox
from sakuga.kernels.preview import COLOURS, preview
from sakuga.kernels.to_rgb8 import to_rgb8

Array = NDArray[Any]
Precision = type[np.float16] | type[np.float32]

NAMES = {np.float32: "float", np.float16: "half"}
COUNTS = (1, 7, 8, 60, 1000, 4 * 91 * 64, 4 * 13 * 9)
SEEDS = np.array([42, 2**63 + 5, 2**32 - 1], np.uint64)
GRIDS = ((1, 1), (3, 32), (64, 128))  # blocks, threads: fewer and more than there is work


def pointer(array: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def units_apart(found: Array, wanted: Array) -> int:
    """The largest distance in units in the last place of the wanted values' type."""
    kind = np.int32 if wanted.dtype == np.float32 else np.int16
    whole = [array.view(kind).astype(np.int64) for array in (found, wanted)]
    ordered = [np.where(bits < 0, np.iinfo(kind).min - bits, bits) for bits in whole]
    return int(np.abs(ordered[0] - ordered[1]).max())


def test_records_have_the_layout_of_the_sources(host: Any) -> None:  # noqa: ANN401
    assert host.size_of_step_row() == STEP_ROW.itemsize
    assert host.size_of_launch() == LAUNCH.itemsize
    assert LAUNCH.itemsize < 4096  # what a kernel's arguments may take


def test_philox_is_the_same_bit_for_bit(host: Any) -> None:  # noqa: ANN401
    generator = np.random.default_rng(0)
    words = generator.integers(0, 2**32, (64, 4), dtype=np.uint32)
    for counter in words:
        key = tuple(int(word) for word in generator.integers(0, 2**32, 2))
        first, second, third, fourth = (np.array([word], np.uint64) for word in counter)
        twin = first, second, third, fourth
        philox(twin, (key[0], key[1]))
        host.host_philox(pointer(counter), ctypes.c_uint(key[0]), ctypes.c_uint(key[1]))
        assert [int(word[0]) for word in twin] == counter.tolist()


class Board:
    """Buffers of three slots, poisoned where nothing may be read."""

    def __init__(self, count: int, precision: Precision) -> None:
        generator = np.random.default_rng(count)

        def draw(*shape: int) -> Array:
            return generator.standard_normal(shape, np.float32)

        self.count, self.precision = count, precision
        self.latents = draw(3, count)
        self.histories = draw(3, HISTORIES, count)
        self.outputs = draw(6, count).astype(precision)
        self.inputs = np.full((6, count), np.nan, precision)
        self.timesteps = np.full(6, np.nan, np.float32)

    def run(self, host: Any, parts: list[Part], table: Array, grid: tuple[int, int]) -> None:  # noqa: ANN401
        kernel = getattr(host, f"host_denoise_step_{NAMES[self.precision]}")
        record = launch(parts)
        kernel(
            grid[0], len(parts), grid[1], pointer(record), pointer(table), table.shape[1],
            pointer(SEEDS), ctypes.c_size_t(self.count), pointer(self.latents),
            pointer(self.histories), pointer(self.outputs), pointer(self.inputs),
            pointer(self.timesteps),
        )  # fmt: skip


# A sampler with noise, one with a history it reads and writes, one with guidance off.
STEPS = (
    (Coefficients(0.9, -0.4, 0.3, (0.0, 0.0, 0.0), 0.0, 0.0, 0, 0.7), (7.0, -6.0), 3),
    (Coefficients(1.1, 0.2, 0.0, (0.5, 0.0, -0.25), 0.8, 0.1, 2, 0.4), (1.0,), 0),
    (Coefficients(0.5, 0.0, 0.0, (0.0, 1.5, 0.0), 0.0, 1.0, 1, 1.0), (0.2, 0.3, 0.5), 0),
)
PARTS = [Part(2, 1, (0, 4), (5, 1)), Part(0, 0, (3,), (2,)), Part(1, 1, (1, 2, 5), ())]


@pytest.mark.parametrize("precision", [np.float32, np.float16])
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("grid", GRIDS)
def test_a_step_is_the_twin_s(
    host: Any,  # noqa: ANN401
    grid: tuple[int, int],
    count: int,
    precision: Precision,
) -> None:
    board, twin = Board(count, precision), Board(count, precision)
    table = np.zeros((3, 2), STEP_ROW)
    for part, (coefficients, weights, draw) in zip(PARTS, STEPS, strict=True):
        table[part.slot, part.step] = step_row(coefficients, weights, 900.5 + part.slot, draw)
        for k, weight in enumerate(coefficients.d):
            if weight == 0 and k != coefficients.write:
                board.histories[part.slot, k] = twin.histories[part.slot, k] = np.nan
    board.run(host, PARTS, table, grid)
    for part, (coefficients, weights, draw) in zip(PARTS, STEPS, strict=True):
        noise = normals(int(SEEDS[part.slot]), draw, count) if draw else None
        denoise_step(
            twin.latents[part.slot], twin.histories[part.slot],
            [twin.outputs[row] for row in part.output_rows], weights, coefficients, noise,
            [twin.inputs[row] for row in part.input_rows], np.empty((SCRATCH, count), np.float32),
        )  # fmt: skip
        for row in part.input_rows:
            twin.timesteps[row] = 900.5 + part.slot
    noisy = PARTS[0].slot
    quiet = [slot for slot in range(3) if slot != noisy]
    np.testing.assert_array_equal(board.latents[quiet], twin.latents[quiet])
    np.testing.assert_allclose(board.latents[noisy], twin.latents[noisy], rtol=0, atol=4e-7)
    np.testing.assert_array_equal(board.histories, twin.histories)
    np.testing.assert_array_equal(board.inputs[2], twin.inputs[2])
    assert units_apart(board.inputs[[1, 5]], twin.inputs[[1, 5]]) <= 8  # 1 of a larger number
    np.testing.assert_array_equal(board.inputs[[0, 3, 4]], twin.inputs[[0, 3, 4]])
    np.testing.assert_array_equal(board.timesteps, twin.timesteps)


@pytest.mark.parametrize("precision", [np.float32, np.float16])
@pytest.mark.parametrize("count", COUNTS)
def test_the_first_noise_is_the_twin_s(host: Any, count: int, precision: Precision) -> None:  # noqa: ANN401
    board = Board(count, precision)
    firsts = np.zeros(3, STEP_ROW)
    firsts["a"], firsts["c_in"], firsts["timestep"] = 14.6, 0.068, 999.0
    parts = [Part(1, 0, (), (0, 3)), Part(2, 0, (), (4,))]
    record = launch(parts)
    getattr(host, f"host_init_noise_{NAMES[precision]}")(
        2, len(parts), 64, pointer(record), pointer(firsts), pointer(SEEDS),
        ctypes.c_size_t(count), pointer(board.latents), pointer(board.inputs),
        pointer(board.timesteps),
    )  # fmt: skip
    for part in parts:
        latent, rows = np.empty(count, np.float32), np.empty((1, count), precision)
        init_noise(normals(int(SEEDS[part.slot]), 0, count), 14.6, 0.068, latent, rows)
        assert units_apart(board.latents[part.slot], latent) <= 1
        for row in part.input_rows:
            assert units_apart(board.inputs[row], rows[0]) <= 1
            assert board.timesteps[row] == 999
    assert np.isnan(board.inputs[[1, 2, 5]]).all() and np.isnan(board.timesteps[[1, 2, 5]]).all()


@pytest.mark.parametrize("precision", [np.float32, np.float16])
@pytest.mark.parametrize("area", [1, 7, 8, 64, 25 * 31])
@pytest.mark.parametrize("rounding", ["truncate", "round"])
def test_bytes_are_the_twin_s(
    host: Any,  # noqa: ANN401
    rounding: Any,  # noqa: ANN401 (the twin's own literal)
    area: int,
    precision: Precision,
) -> None:
    image = np.random.default_rng(area).uniform(-1.3, 1.3, (2, 3, 1, area)).astype(precision)
    image.flat[:3] = np.nan, np.inf, -np.inf
    pixels = np.full((2, 1, area, 3), 77, np.uint8)
    getattr(host, f"host_to_rgb8_{NAMES[precision]}")(
        2, 2, 16, pointer(image), pointer(pixels), ctypes.c_size_t(area), rounding == "round"
    )
    np.testing.assert_array_equal(pixels, to_rgb8(image, rounding))


@pytest.mark.parametrize("family", COLOURS)
def test_previews_are_the_twin_s(host: Any, family: str) -> None:  # noqa: ANN401
    latents = np.random.default_rng(1).standard_normal((3, 4, 5, 7), np.float32)
    latents[2, 0, 0, 0] = np.nan
    colours = COLOURS[family]
    flat = np.array([*np.ravel(colours.factors), *colours.offsets], np.float32)
    record, pixels = (
        launch([Part(2, 0, (), ()), Part(0, 0, (), ())]),
        np.zeros((2, 5, 7, 3), np.uint8),
    )
    host.host_preview(1, 2, 8, pointer(record), pointer(flat), ctypes.c_size_t(35),
                      pointer(latents), pointer(pixels))  # fmt: skip
    np.testing.assert_array_equal(pixels[0], preview(latents[2], colours))
    np.testing.assert_array_equal(pixels[1], preview(latents[0], colours))
