import numpy as np
import pytest

from sakuga.kernels.init_noise import init_noise
from sakuga.kernels.philox import normals


@pytest.mark.parametrize("precision", [np.float16, np.float32])
def test_scales_the_noise_and_writes_every_row(precision: type[np.floating]) -> None:
    noise = normals(42, 0, 4 * 3 * 5).reshape(4, 3, 5)
    latent, inputs = np.empty_like(noise), np.empty((3, 4, 3, 5), precision)
    init_noise(noise, 14.614641, 0.0682, latent, inputs)
    assert np.array_equal(latent, noise * np.float32(14.614641))
    for row in inputs:
        assert np.array_equal(row, (latent * np.float32(0.0682)).astype(precision))


def test_works_on_the_noise_itself() -> None:
    noise = normals(1, 0, 60).reshape(4, 3, 5)
    expected = noise * np.float32(2)
    init_noise(noise, 2.0, 1.0, noise, [])
    assert np.array_equal(noise, expected)
