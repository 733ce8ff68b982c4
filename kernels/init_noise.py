"""The first latent of a picture and the first model input."""

from collections.abc import Iterable

import numpy as np

from sakuga.kernels.denoise_step import Latent, Row, write_model_inputs


def init_noise(
    noise: Latent, scale: float, c_in: float, latent: Latent, model_inputs: Iterable[Row]
) -> None:
    """x = scale · noise, and c_in · x into every model-input row, in place.

    noise, latent: float32 [4, height, width]; they may be the same array. model_inputs: float16
    or float32 rows of that shape.
    """
    np.multiply(noise, np.float32(scale), out=latent)
    write_model_inputs(latent, c_in, model_inputs)
