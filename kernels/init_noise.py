"""The first latent of a picture."""

import numpy as np

from sakuga.kernels.denoise_step import Latent


def init_noise(noise: Latent, scale: float, latent: Latent) -> None:
    """x = scale · noise, in place; both float32 [4, height, width], perhaps the same array."""
    np.multiply(noise, np.float32(scale), out=latent)
