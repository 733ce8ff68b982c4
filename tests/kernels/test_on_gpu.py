"""The kernels on a GPU, against their NumPy twins. Skipped, visibly, where there is none."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sakuga.engine.backend.cuda.core_driver import CoreDriver
from sakuga.engine.backend.cuda.staging import Staging
from sakuga.engine.gpu import find_gpu
from sakuga.kernels.denoise_step import SCRATCH, Coefficients, denoise_step
from sakuga.kernels.init_noise import init_noise
from sakuga.kernels.launch import (
    FORESIGHT,
    HISTORIES,
    STEP_ROW,
    Seat,
    colours_record,
    fill_launch,
    new_launch,
)
from sakuga.kernels.model_inputs import model_inputs
from sakuga.kernels.philox import normals
from sakuga.kernels.preview import COLOURS, Foresight, preview
from sakuga.kernels.to_rgb8 import to_rgb8

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(find_gpu() is None, reason="no NVIDIA GPU")]

Array = NDArray[Any]
Run = Callable[..., None]
SEEDS = np.array([[1, 2], [42, 2**63 + 5]], np.uint64)
COUNTS = (7, 4 * 91 * 64, 4 * 104 * 152)


@pytest.fixture(scope="module")
def driver() -> Iterator[CoreDriver]:
    gpu = find_gpu()
    assert gpu is not None
    driver = CoreDriver(gpu)
    yield driver
    driver.close()


@pytest.fixture
def run(driver: CoreDriver) -> Run:
    """Run a kernel: arrays go up before it and come back after it, in place."""
    stream = driver.create_stream()
    staging = Staging(driver, stream)

    def launch(name: str, blocks: tuple[int, int], *values: Any) -> None:  # noqa: ANN401
        arrays = [value for value in values if isinstance(value, np.ndarray) and value.ndim]
        buffers = [driver.allocate(array.nbytes) for array in arrays]
        for buffer, array in zip(buffers, arrays, strict=True):
            staging.upload(buffer.address, array)
        places = iter(buffers)
        arguments = [
            np.uint64(next(places).address) if isinstance(v, np.ndarray) and v.ndim else v
            for v in values
        ]
        driver.kernel(name, blocks, arguments)(stream)
        for buffer, array in zip(buffers, arrays, strict=True):
            pinned = driver.allocate_pinned(array.nbytes)
            driver.copy(stream, pinned.address, buffer.address, array.nbytes)
            stream.sync()
            array[...] = pinned.bytes.view(array.dtype).reshape(array.shape)
            pinned.close()
            buffer.close()

    return launch


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("precision", [np.float16, np.float32])
def test_a_step_is_the_twin_s(run: Run, count: int, precision: type[np.floating]) -> None:
    generator = np.random.default_rng(count)
    coefficients = Coefficients(0.9, -0.4, 0.3, (0.0, 0.5, 0.0), 0.8, 0.1, 2, 0.7)
    table = np.zeros((2, 1), STEP_ROW)
    for name in ("a", "b", "c", "d", "e", "f", "c_in", "write"):
        table[name][1, 0] = getattr(coefficients, name)
    table["weights"][1, 0, :2], table["timestep"][1, 0], table["draw"][1, 0] = (7, -6), 900.5, 3
    latents = generator.standard_normal((2, count), np.float32)
    histories = generator.standard_normal((2, HISTORIES, count), np.float32)
    outputs = generator.standard_normal((4, count), np.float32).astype(precision)
    inputs, times = np.full((4, count), np.nan, precision), np.zeros(4, np.float32)
    latent, history = latents[1].copy(), histories[1].copy()
    wanted, other = np.empty((2, count), precision), latents[0].copy()
    record = new_launch()
    fill_launch(record, [Seat(1, (1, 2))])
    name = "half" if precision == np.float16 else "float"
    run(
        f"denoise_step_{name}", (8, 1), record, table, np.int32(1), SEEDS, np.uint64(count),
        np.uint64(count), np.uint64(0), np.uint64(0), latents, histories, outputs, inputs, times,
    )  # fmt: skip
    denoise_step(
        latent, history, outputs[[1, 2]], (7.0, -6.0), coefficients,
        normals(int(SEEDS[1, 1]), 3, count), wanted, np.empty((SCRATCH, count), np.float32),
    )  # fmt: skip
    np.testing.assert_allclose(latents[1], latent, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(histories[1], history)
    np.testing.assert_array_equal(latents[0], other)
    np.testing.assert_allclose(inputs[[1, 2]], wanted, rtol=1e-3, atol=1e-3)
    assert times.tolist() == [0, 900.5, 900.5, 0]


@pytest.mark.parametrize("count", COUNTS)
def test_first_noise_and_first_inputs_are_the_twins(run: Run, count: int) -> None:
    table, latents = np.zeros((2, 1), STEP_ROW), np.zeros((2, count), np.float32)
    table["a"], table["c_in"], table["timestep"] = 14.6, 0.07, 999
    record = new_launch()
    fill_launch(record, [Seat(1, (2,))])
    run(
        "init_noise", (8, 1), record, table, np.int32(1), SEEDS, np.uint64(count), np.uint64(0),
        np.uint64(0), latents,
    )  # fmt: skip
    latent = np.empty(count, np.float32)
    init_noise(normals(int(SEEDS[1, 0]), 0, count), 14.6, latent)
    np.testing.assert_allclose(latents[1], latent, rtol=1e-6, atol=1e-6)
    inputs, times = np.zeros((4, count), np.float16), np.zeros(4, np.float32)
    run(
        "model_inputs_half", (8, 1), record, table, np.int32(1), np.uint64(count),
        np.uint64(count), np.uint64(0), latents, inputs,
        times,
    )  # fmt: skip
    wanted = np.empty((1, count), np.float16)
    model_inputs(latents[1], 0.07, wanted)
    np.testing.assert_array_equal(inputs[2], wanted[0])
    assert times.tolist() == [0, 0, 999, 0]


@pytest.mark.parametrize("area", [7, 1216 * 832])
def test_bytes_are_the_twin_s(run: Run, area: int) -> None:
    image = np.random.default_rng(0).uniform(-1.3, 1.3, (2, 3, 1, area)).astype(np.float32)
    image[1, 0, 0, 0] = np.nan
    wanted = to_rgb8(image, "truncate")
    pixels, broken = np.zeros((2, 1, area, 3), np.uint8), np.zeros(2, np.uint32)
    run("to_rgb8_float", (64, 2), image, pixels, broken, np.uint64(area), np.int32(0))
    np.testing.assert_array_equal(pixels, wanted)
    assert broken.tolist() == [0, 1]


@pytest.mark.parametrize("precision", [np.float16, np.float32])
def test_previews_are_the_twin_s(run: Run, precision: type[np.floating]) -> None:
    generator, shape = np.random.default_rng(1), (4, 104, 152)
    latents = generator.standard_normal((2, *shape), np.float32)
    outputs = generator.standard_normal((4, *shape), np.float32).astype(precision)
    table, foresight = np.zeros((2, 3), STEP_ROW), Foresight(1.07, -0.3)
    table["weights"][1, 2, :2] = 7, -6
    record, pixels = new_launch(), np.zeros((104, 152, 3), np.uint8)
    fill_launch(record, [Seat(1, (3, 1))])
    record["entries"]["step"][0] = 2
    run(
        f"preview_{'half' if precision == np.float16 else 'float'}", (8, 1), record, table,
        np.int32(3), np.array(foresight, FORESIGHT), colours_record(COLOURS["sdxl"]),
        np.uint64(104 * 152), latents, outputs, pixels,
    )  # fmt: skip
    wanted = preview(latents[1], outputs[[3, 1]], (7.0, -6.0), foresight, COLOURS["sdxl"])
    np.testing.assert_array_equal(pixels, wanted)
