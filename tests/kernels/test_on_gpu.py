"""The kernels on a GPU, against their NumPy twins. Skipped, visibly, where there is none."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sakuga.engine.gpu import find_gpu
from sakuga.kernels.cuda_packages import cuda_package
from sakuga.kernels.denoise_step import SCRATCH, Coefficients, denoise_step
from sakuga.kernels.launch import HISTORIES, STEP_ROW, Part, launch, step_row
from sakuga.kernels.launcher import Launcher
from sakuga.kernels.philox import normals
from sakuga.kernels.to_rgb8 import to_rgb8

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(find_gpu() is None, reason="no NVIDIA GPU")]

Array = NDArray[Any]
SEEDS = np.array([42, 2**63 + 5], np.uint64)
COUNTS = (7, 4 * 91 * 64, 4 * 104 * 152)


@pytest.fixture(scope="module")
def device() -> Iterator[Any]:
    """A current context."""
    gpu = cuda_package("core").Device(0)
    gpu.set_current()
    yield gpu
    gpu.sync()


class Copies:
    """Host arrays with twins on the device."""

    def __init__(self, device: Any, **arrays: Array) -> None:  # noqa: ANN401
        driver = cuda_package("bindings.driver")
        self._driver, self.arrays, self._buffers = driver, arrays, {}
        for name, array in arrays.items():
            self._buffers[name] = buffer = device.allocate(max(array.nbytes, 16))
            driver.cuMemcpyHtoD(int(buffer.handle), array.ctypes.data, array.nbytes)

    def address(self, name: str) -> np.uint64:
        return np.uint64(int(self._buffers[name].handle))

    def back(self, name: str) -> Array:
        array = np.empty_like(self.arrays[name])
        self._driver.cuMemcpyDtoH(array.ctypes.data, int(self._buffers[name].handle), array.nbytes)
        return array


def architecture() -> str:
    gpu = find_gpu()
    assert gpu is not None
    return gpu.capability.replace("sm", "sm_")


@pytest.mark.parametrize("count", COUNTS)
def test_a_step_is_the_twin_s(device: Any, tmp_path: Path, count: int) -> None:  # noqa: ANN401
    generator = np.random.default_rng(count)
    coefficients = Coefficients(0.9, -0.4, 0.3, (0.0, 0.5, 0.0), 0.8, 0.1, 2, 0.7)
    table = np.zeros((2, 1), STEP_ROW)
    table[1, 0] = step_row(coefficients, (7.0, -6.0), 900.5, 3)
    copies = Copies(
        device, table=table, seeds=SEEDS, times=np.zeros(4, np.float32),
        latents=generator.standard_normal((2, count), np.float32),
        histories=generator.standard_normal((2, HISTORIES, count), np.float32),
        outputs=generator.standard_normal((4, count), np.float32).astype(np.float16),
        inputs=np.full((4, count), np.nan, np.float16),
    )  # fmt: skip
    part = Part(1, 0, (0, 3), (1, 2))
    names = ("latents", "histories", "outputs", "inputs", "times")
    kernels = Launcher("denoise_step", architecture(), tmp_path)
    kernels.launch(
        "denoise_step_half", (8, 1), 0,
        [launch([part]), copies.address("table"), np.int32(1), copies.address("seeds"),
         np.uint64(count), *map(copies.address, names)],
    )  # fmt: skip
    device.sync()
    latent, histories = copies.arrays["latents"][1].copy(), copies.arrays["histories"][1].copy()
    inputs = np.empty((2, count), np.float16)
    denoise_step(
        latent, histories, copies.arrays["outputs"][[0, 3]], (7.0, -6.0), coefficients,
        normals(int(SEEDS[1]), 3, count), inputs, np.empty((SCRATCH, count), np.float32),
    )  # fmt: skip
    np.testing.assert_allclose(copies.back("latents")[1], latent, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(copies.back("histories")[1], histories)
    np.testing.assert_array_equal(copies.back("latents")[0], copies.arrays["latents"][0])
    np.testing.assert_allclose(copies.back("inputs")[[1, 2]], inputs, rtol=1e-3, atol=1e-3)
    assert copies.back("times").tolist() == [0, 900.5, 900.5, 0]
    kernels.close()


@pytest.mark.parametrize("area", [7, 1216 * 832])
def test_bytes_are_the_twin_s(device: Any, tmp_path: Path, area: int) -> None:  # noqa: ANN401
    image = np.random.default_rng(0).uniform(-1.3, 1.3, (2, 3, 1, area)).astype(np.float32)
    copies = Copies(device, image=image, pixels=np.zeros((2, 1, area, 3), np.uint8))
    kernels = Launcher("to_rgb8", architecture(), tmp_path)
    arguments = [copies.address("image"), copies.address("pixels"), np.uint64(area), np.int32(0)]
    kernels.launch("to_rgb8_float", (64, 2), 0, arguments)
    device.sync()
    np.testing.assert_array_equal(copies.back("pixels"), to_rgb8(image, "truncate"))
    kernels.close()
