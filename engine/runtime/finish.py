"""From a decoded latent to a picture with its settings in it."""

from dataclasses import replace

import numpy as np

from sakuga.engine.backend.base import Array, Decoded, Pixels
from sakuga.engine.bundle import Bundle
from sakuga.engine.errors import RenderError
from sakuga.engine.image.infotext import Infotext, write_infotext
from sakuga.engine.lint.length import Ruler
from sakuga.engine.lint.linter import Linter
from sakuga.engine.runtime import rescue
from sakuga.engine.runtime.defaults import bundle_chunks
from sakuga.engine.runtime.made import Made
from sakuga.engine.runtime.notes import notes_of
from sakuga.engine.runtime.parameters import infotext_of
from sakuga.engine.runtime.picture import Picture
from sakuga.engine.runtime.prompts import PromptEncoder
from sakuga.engine.runtime.settings import Settings
from sakuga.engine.runtime.slot import Slot
from sakuga.engine.runtime.stage_facts import stage_facts
from sakuga.profiles.preset import Preset

WINDOWS = "Decoder windows"  # in the settings of a picture that was decoded in parts
_IN_WINDOWS = (
    "The picture is too large for the VAE to decode in one go here: it was decoded in windows."
)


class Finish:
    """The last step of every picture of an engine. `backend`: as metadata names it; `preset`: whose
    card its prompts are held against."""

    def __init__(
        self, bundle: Bundle, prompts: PromptEncoder, backend: str, preset: Preset | None
    ) -> None:
        self._bundle, self._prompts, self._backend = bundle, prompts, backend
        ruler = Ruler(prompts.tokenizer, prompts.embeddings, bundle_chunks(bundle))
        self._linter = Linter(preset, ruler)
        self._rescue = rescue.Rescue(bundle)

    def __call__(self, slot: Slot, made: Made) -> Picture:
        """The picture with its settings in it. `slot`: of its first pass."""
        settings = slot.settings
        info = self._infotext(settings)
        info = replace(info, extra={**stage_facts(settings), **made.facts})
        notes = tuple(dict.fromkeys((*notes_of(slot, self._linter), *made.notes)))
        return Picture(made.pixels, write_infotext(info), slot.ticket, settings.seed, notes)

    def pixels(self, settings: Settings, decoded: Decoded) -> Made:
        """What a pass has made; decoded once more where the VAE made NaN of it. Raises
        RenderError."""
        made = Made(decoded.pixels)
        if not decoded.whole:
            pixels = self._rescued(decoded, settings)
            made = Made(pixels, (rescue.NOTE,), {rescue.KEY: rescue.EXACT})
        if decoded.window is None:
            return made
        told = Made(made.pixels, (_IN_WINDOWS,), {WINDOWS: str(decoded.window)})
        return made.then(told)

    def _rescued(self, decoded: Decoded, settings: Settings) -> Pixels:
        check_finite(decoded.latent, "unet", self._bundle)
        pixels = None
        if self._rescue.possible:
            pixels = self._rescue.decode(decoded.latent, settings.compat.rounding)
        if pixels is None:
            raise _not_finite("vae_decoder", self._bundle)
        return pixels

    def _infotext(self, settings: Settings) -> Infotext:
        zeroed = self._prompts.zeroes(settings)
        info = infotext_of(settings, self._bundle.manifest, self._backend, zeroed)
        return replace(info, embeddings=self._prompts.embeddings_in(settings))


def check_finite(output: Array, network: str, bundle: Bundle) -> None:
    """Raises RenderError where what a network gave is not finite."""
    if not np.isfinite(output).all():
        raise _not_finite(network, bundle)


def _not_finite(network: str, bundle: Bundle) -> RenderError:
    precision = bundle.manifest.networks[network].precision
    return RenderError(
        f"The network {network} gave NaN or infinity.",
        note=f"It computes in {precision}.",
        hint="Build the bundle with --precision fp32."
        if precision != "float32"
        else "The checkpoint does not work with these settings; try others, or another file.",
    )
