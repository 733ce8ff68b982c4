"""The first latent of a picture."""

import numpy as np

from sakuga.kernels.guide import Latent


def init_noise(
    noise: Latent, scale: float, latent: Latent, picture: Latent | None = None, share: float = 0.0
) -> None:
    """x = scale · noise + share · picture, in place; all float32 [4, height, width], noise and
    latent perhaps the same array. Where the share is zero, no picture is read."""
    np.multiply(noise, np.float32(scale), out=latent)
    if share != 0:
        assert picture is not None
        latent += picture * np.float32(share)
