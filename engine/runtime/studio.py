"""What the stages of a picture use besides the sampler: VAE, upscalers, detectors."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.backend.base import Device, Latent, Pixels
from sakuga.engine.bundle import Bundle
from sakuga.engine.refine import latent_mask
from sakuga.engine.refine.detail import Detail
from sakuga.engine.refine.detail_masks import Mask, detail_masks
from sakuga.engine.refine.fill import Fill
from sakuga.engine.refine.latents import LATENT_UPSCALERS, resize_latent
from sakuga.engine.refine.mask import HALF
from sakuga.engine.runtime.canvas import Canvas
from sakuga.engine.runtime.finish import Finish, check_finite
from sakuga.engine.runtime.settings import Settings
from sakuga.engine.runtime.slot import Beginning
from sakuga.engine.runtime.tools import Tools
from sakuga.engine.sampling.noise.sources import first_draw
from sakuga.profiles.buckets import Size

Values = NDArray[np.float32]

_LOGVAR = (-30.0, 20.0)  # diffusers' DiagonalGaussianDistribution keeps it within


@dataclass(frozen=True)
class Studio:
    """Of one engine. `device` is for the thread that owns it, as is every method but `masks`."""

    bundle: Bundle
    device: Callable[[], Device]
    finish: Finish
    tools: Tools

    def begun(self, canvas: Canvas, settings: Settings) -> Beginning:
        """What a pass begins from. Raises RenderError where the encoder's latent is not finite."""
        latent = self.encoded(canvas.pixels, settings)
        if latent.shape[1:] != settings.size.latent():
            bilinear = LATENT_UPSCALERS["latent"]
            latent = resize_latent(latent, settings.size.latent(), bilinear)
        told = self._told(canvas, settings) if self.bundle.family.inpaints else None
        # diffusers leaves it to such a model to keep what is outside the mask.
        if canvas.mask is None or (told is not None and settings.compat.name == "diffusers"):
            return Beginning(latent, told=told)
        mask = np.broadcast_to(canvas.mask, latent.shape).copy()
        if canvas.fill in (Fill.NOISE, Fill.NOTHING):
            latent = latent * (1 - mask)
        if canvas.fill is Fill.NOISE:
            latent += settings.noise.drawn(settings.size.latent()) * mask
        return Beginning(latent, mask, told)

    def from_latent(self, latent: Latent, settings: Settings) -> Beginning:
        """What a pass begins from that is given the latent of the pass before."""
        told = self._told_all(settings) if self.bundle.family.inpaints else None
        return Beginning(latent, told=told)

    def from_noise(self, settings: Settings) -> Beginning | None:
        """What a pass begins from that is given no picture: an inpainting model paints all."""
        if not self.bundle.family.inpaints:
            return None
        return Beginning(told=self._told_all(settings))

    def _told(self, canvas: Canvas, settings: Settings) -> Latent:
        """What an inpainting model is told, [5, h, w]: the mask, and the latent of the picture with
        grey where it is white. Sources: A1111's `inpainting_image_conditioning`; diffusers'
        `prepare_mask_latents`, which draws from the encoder after the first noise."""
        if canvas.drawn is None:
            return self._told_all(settings)
        kept = (canvas.drawn < HALF).astype(np.float32)
        rest = self._encoded(_to_unit(canvas.pixels) * kept, settings, settings.noise.before + 1)
        mask = latent_mask.diffusers(canvas.drawn, settings.size.latent())
        return np.concatenate([mask[None], rest])

    def _told_all(self, settings: Settings) -> Latent:
        """That all of the picture is painted: A1111's `txt2img_image_conditioning`."""
        size = settings.size
        grey = self._encoded(np.zeros((3, size.height, size.width), np.float32), settings, 0)
        return np.concatenate([np.ones_like(grey[:1]), grey])

    def beginner(self, canvas: Canvas, settings: Settings) -> Callable[[], Beginning]:
        """`begun`, later."""
        return lambda: self.begun(canvas, settings)

    def encoded(self, pixels: Pixels, settings: Settings) -> Latent:
        """The latent of uint8 [h, w, 3] as the UNet knows latents, float32 [4, h/8, w/8].

        The middle of what the encoder says, or drawn from it: a rule of the compat mode. Raises
        RenderError.
        """
        return self._encoded(_to_unit(pixels), settings, 0)

    def _encoded(self, image: Values, settings: Settings, draw: int) -> Latent:
        """`draw`: the number of the generator's draw, where there is one."""
        mean, logvar = self.device().encode(image)
        check_finite(mean, "vae_encoder", self.bundle)
        if settings.compat.samples_encoding:
            noise, spread = settings.noise, np.exp(np.float32(0.5) * np.clip(logvar, *_LOGVAR))
            mean = mean + spread * first_draw(noise.rng.first, noise.seed, mean.shape[1:], draw)
        latent: Latent = mean * np.float32(self.bundle.family.vae.scaling_factor)
        return latent

    def masks(self, stage: Detail, pixels: Pixels) -> list[Mask]:
        """Of everything a detector finds, in order. On whatever thread."""
        detector = self.tools.detectors.find(stage.model)
        found = detector(pixels, stage.confidence, stage.classes, stage.exclude)
        return detail_masks(found, Size(pixels.shape[1], pixels.shape[0]), stage)


def _to_unit(pixels: Pixels) -> NDArray[np.float32]:
    """uint8 [h, w, 3] to float32 [3, h, w] in [-1, 1]."""
    values = pixels.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    values *= np.float32(2)
    values -= np.float32(1)
    return np.ascontiguousarray(values)
