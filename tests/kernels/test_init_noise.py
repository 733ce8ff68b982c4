import numpy as np

from sakuga.kernels.init_noise import init_noise
from sakuga.kernels.philox import normals


def test_scales_the_noise() -> None:
    noise = normals(42, 0, 4 * 3 * 5).reshape(4, 3, 5)
    latent = np.empty_like(noise)
    init_noise(noise, 14.614641, latent)
    assert np.array_equal(latent, noise * np.float32(14.614641))


def test_works_on_the_noise_itself() -> None:
    noise = normals(1, 0, 60).reshape(4, 3, 5)
    expected = noise * np.float32(2)
    init_noise(noise, 2.0, noise)
    assert np.array_equal(noise, expected)
