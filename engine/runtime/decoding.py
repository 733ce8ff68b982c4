"""A latent to its picture, for whoever has latents of their own."""

import numpy as np

from sakuga.engine.backend.base import Array
from sakuga.engine.bundle import Bundle
from sakuga.engine.runtime.finish import check_finite
from sakuga.engine.runtime.worker import Worker


def decoded(worker: Worker, bundle: Bundle, latent: Array) -> Array:
    """See `Engine.decode`. Raises RenderError."""
    check_finite(latent, "unet", bundle)
    scaled = latent[None] * np.float32(1 / bundle.family.vae.scaling_factor)
    inputs = {"latent": scaled.astype(np.float32)}
    run = worker.call(lambda device: device.network("vae_decoder").run(inputs))
    image = run.result()["image"]
    check_finite(image, "vae_decoder", bundle)
    return image
