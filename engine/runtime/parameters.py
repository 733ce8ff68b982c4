"""The settings of a rendered picture, as its metadata tells them."""

from typing import Any

from sakuga.engine.image.infotext import Infotext
from sakuga.engine.manifest import Manifest
from sakuga.engine.runtime.merged import merged_fields
from sakuga.engine.runtime.settings import Settings
from sakuga.engine.sampling.samplers import SAMPLERS
from sakuga.engine.version import VERSION

TOOL = f"sakuga {VERSION}"


def infotext_of(
    settings: Settings, manifest: Manifest, backend: str, negative_zeroed: bool
) -> Infotext:
    """What makes the picture again: `Engine.remake` is the way back."""
    compat, clip_skip, noise = settings.compat.name, settings.clip_skip, settings.noise
    return Infotext(
        prompt=settings.prompt,
        negative_prompt=settings.negative_prompt or "",
        steps=settings.steps,
        sampler=SAMPLERS[settings.sampler].label,
        schedule=settings.schedule,
        eta=settings.eta,
        s_noise=1.0 if settings.s_noise is None else settings.s_noise,
        guidance=settings.guidance,
        seed=noise.seed,
        size=settings.size,
        model_hash=manifest.checkpoint.model_hash,
        model=manifest.checkpoint.name,
        variation_seed=noise.variation_seed,
        variation_strength=noise.variation_strength,
        seed_resize=noise.drawn_at,
        clip_skip=None if (compat, clip_skip) == ("a1111", 1) else clip_skip,
        emphasis=settings.emphasis,
        pad_conds=settings.pad_conds,
        guidance_interval=settings.guidance_interval,
        ensd=noise.ensd,
        rng=noise.rng.name,
        compat=compat,
        # Elsewhere an empty text tells; diffusers treats it unlike an absent one.
        negative_zeroed=negative_zeroed and compat == "diffusers",
        **merged_fields(manifest),
        **made_by(manifest, backend),
    )


def made_by(manifest: Manifest, backend: str) -> dict[str, Any]:
    """The fields of an `Infotext` that say what computed the pixels."""
    return {
        "precision": manifest.networks["unet"].precision,
        "bundle": manifest.bundle_hash,
        "backend": backend,
        "version": TOOL,
    }
