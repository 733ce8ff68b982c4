"""What a bundle uses where a request says nothing, and what its networks take."""

from dataclasses import replace
from math import lcm

from sakuga.engine.bundle import Bundle
from sakuga.engine.runtime.request import Defaults
from sakuga.profiles.buckets import SizeRule
from sakuga.profiles.families import CHUNK, VAE_FACTOR
from sakuga.profiles.presets import all_presets


def bundle_defaults(bundle: Bundle) -> Defaults:
    """Defaults of the bundle: its preset's, else the family's first bucket and usual settings."""
    manifest = bundle.manifest
    usual = Defaults(
        size=bundle.family.buckets[0],
        sizes=bundle_sizes(bundle),
        timestep_spacing=manifest.timestep_spacing,
    )
    preset = all_presets().get(manifest.preset or "")
    if preset is None:
        return usual
    return replace(
        usual,
        size=preset.size,
        steps=preset.steps,
        guidance=preset.guidance,
        sampler=preset.sampler,
        clip_skip=preset.clip_skip,
    )


def bundle_sizes(bundle: Bundle) -> SizeRule:
    """The sizes every network of the bundle takes, from the axes of its UNet."""
    axes = bundle.manifest.networks["unet"].axes
    sides = axes["latent_height"], axes["latent_width"]
    return SizeRule(
        minimum=max(side.minimum for side in sides) * VAE_FACTOR,
        maximum=min(side.maximum for side in sides) * VAE_FACTOR,
        step=lcm(*(side.step for side in sides)) * VAE_FACTOR,
    )


def bundle_chunks(bundle: Bundle) -> int:
    """How many chunks of 77 tokens the bundle's UNet takes."""
    return bundle.manifest.networks["unet"].axes["context"].maximum // CHUNK
