"""Pictures that a fast VAE made NaN of, decoded again in float32 on the processor."""

import threading

import numpy as np

from sakuga.engine.backend.base import Latent, Pixels
from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.backend.tiled_vae import decode
from sakuga.engine.backend.vae_calls import PROCESSOR, tile_for
from sakuga.engine.bundle import Bundle
from sakuga.kernels.model_inputs import model_inputs
from sakuga.kernels.to_rgb8 import Rounding, to_rgb8

KEY, EXACT = "Decoder", "float32"  # in the settings of a picture that was rescued
NOTE = "The VAE gave NaN in its fast form; this picture was decoded again in float32."


class Rescue:
    """The exact decoder of a bundle, loaded when first needed. Any thread may use it."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._session: OnnxSession | None = None
        self._lock = threading.Lock()

    @property
    def possible(self) -> bool:
        """Whether the bundle has one."""
        return self._bundle.manifest.exact_decoder is not None

    def decode(self, latent: Latent, rounding: Rounding) -> Pixels | None:
        """The picture of a latent, None where it is not finite in float32 either."""
        graph = self._bundle.manifest.exact_decoder
        assert graph is not None
        with self._lock:
            self._session = self._session or OnnxSession(self._bundle.path / graph)
            scaled = np.empty_like(latent)
            model_inputs(latent, 1 / self._bundle.family.vae.scaling_factor, scaled[None])
            _, height, width = latent.shape
            entry = self._bundle.manifest.networks["vae_decoder"]
            image = decode(scaled, self._session, tile_for(entry, (height, width), room=PROCESSOR))
        return to_rgb8(image, rounding) if np.isfinite(image).all() else None
