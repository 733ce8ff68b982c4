"""What the stages of a picture use besides the sampler: VAE, upscalers, detectors."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.backend.base import Device, Latent, Pixels
from sakuga.engine.bundle import Bundle
from sakuga.engine.refine.detail import Detail
from sakuga.engine.refine.detail_masks import Mask, detail_masks
from sakuga.engine.refine.fill import Fill
from sakuga.engine.refine.latents import LATENT_UPSCALERS, resize_latent
from sakuga.engine.refine.upscalers import Upscalers
from sakuga.engine.runtime.canvas import Canvas
from sakuga.engine.runtime.finish import Finish, check_finite
from sakuga.engine.runtime.settings import Settings
from sakuga.engine.runtime.shelf import Shelf
from sakuga.engine.runtime.slot import Beginning
from sakuga.engine.sampling.noise.sources import first_draw
from sakuga.profiles.buckets import Size

_LOGVAR = (-30.0, 20.0)  # diffusers' DiagonalGaussianDistribution keeps it within


@dataclass(frozen=True)
class Studio:
    """Of one engine. `device` is for the thread that owns it, as is every method."""

    bundle: Bundle
    device: Callable[[], Device]
    finish: Finish
    upscalers: Upscalers
    detectors: Shelf

    def begun(self, canvas: Canvas, settings: Settings) -> Beginning:
        """What a pass begins from. Raises RenderError where the encoder's latent is not finite."""
        latent = self.encoded(canvas.pixels, settings)
        if latent.shape[1:] != settings.size.latent():
            bilinear = LATENT_UPSCALERS["latent"]
            latent = resize_latent(latent, settings.size.latent(), bilinear)
        if canvas.mask is None:
            return Beginning(latent)
        mask = np.broadcast_to(canvas.mask, latent.shape).copy()
        if canvas.fill in (Fill.NOISE, Fill.NOTHING):
            latent = latent * (1 - mask)
        if canvas.fill is Fill.NOISE:
            latent += settings.noise.drawn(settings.size.latent()) * mask
        return Beginning(latent, mask)

    def beginner(self, canvas: Canvas, settings: Settings) -> Callable[[], Beginning]:
        """`begun`, later."""
        return lambda: self.begun(canvas, settings)

    def encoded(self, pixels: Pixels, settings: Settings) -> Latent:
        """The latent of uint8 [h, w, 3] as the UNet knows latents, float32 [4, h/8, w/8].

        The middle of what the encoder says, or drawn from it: a rule of the compat mode. Raises
        RenderError.
        """
        found = self.device().network("vae_encoder").run({"image": _to_unit(pixels)[None]})
        mean, logvar = found["mean"][0], found["logvar"][0]
        check_finite(mean, "vae_encoder", self.bundle)
        if settings.compat.samples_encoding:
            noise, spread = settings.noise, np.exp(np.float32(0.5) * np.clip(logvar, *_LOGVAR))
            mean = mean + spread * first_draw(noise.rng.first, noise.seed, mean.shape[1:])
        latent: Latent = mean * np.float32(self.bundle.family.vae.scaling_factor)
        return latent

    def masks(self, stage: Detail, pixels: Pixels) -> list[Mask]:
        """Of everything a detector finds, in order."""
        detector = self.detectors.find(stage.model)
        found = detector(pixels, stage.confidence, stage.classes, stage.exclude)
        return detail_masks(found, Size(pixels.shape[1], pixels.shape[0]), stage)


def _to_unit(pixels: Pixels) -> NDArray[np.float32]:
    """uint8 [h, w, 3] to float32 [3, h, w] in [-1, 1]."""
    values = pixels.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    values *= np.float32(2)
    values -= np.float32(1)
    return np.ascontiguousarray(values)
