"""What a bundle uses where a request says nothing, and what its networks take."""

from dataclasses import replace
from math import lcm
from pathlib import Path

from sakuga.engine.bundle import Bundle
from sakuga.engine.errors import UsageError
from sakuga.engine.manifest import Manifest
from sakuga.engine.presets import choose_preset, preset_known
from sakuga.engine.runtime.request import Defaults
from sakuga.engine.text.bundled_embeddings import bundled_embeddings
from sakuga.engine.text.embedding_files import read_embeddings
from sakuga.engine.text.embeddings import NO_EMBEDDINGS, Embeddings
from sakuga.engine.text.tokenizer import Tokenizer
from sakuga.profiles.buckets import SizeRule
from sakuga.profiles.families import CHUNK, FAMILIES, VAE_FACTOR
from sakuga.profiles.preset import Preset
from sakuga.profiles.preset_file import NO_PRESET


def bundle_preset(bundle: Bundle, name: str | None = None) -> Preset | None:
    """The preset called `name`, by default the bundle's own; None without one.

    Raises UsageError where there is no such preset, its file is broken, or it is for another
    family.
    """
    return manifest_preset(bundle.manifest, name)


def manifest_preset(manifest: Manifest, name: str | None = None) -> Preset | None:
    """The same of a bundle of which only the manifest has been read."""
    own = manifest.preset
    if name is None and own is not None and not preset_known(own):
        raise UsageError(
            f"The preset {own!r} of this bundle is not here.",
            note="A bundle holds its preset's name; no shipped preset and none of yours has it.",
            hint=f"Put {own}.toml into your presets, or choose another with --preset NAME; "
            f"--preset {NO_PRESET} goes without.",
        )
    wanted = (own or NO_PRESET) if name is None else name
    return choose_preset(wanted, FAMILIES[manifest.family].base)


def bundle_defaults(bundle: Bundle, preset: Preset | None) -> Defaults:
    """Defaults of the bundle: the preset's, else the family's first bucket and usual settings."""
    usual = Defaults(
        size=bundle.family.buckets[0],
        sizes=bundle_sizes(bundle),
        timestep_spacing=bundle.manifest.timestep_spacing,
    )
    return usual if preset is None else preset_defaults(usual, preset)


def preset_defaults(usual: Defaults, preset: Preset) -> Defaults:
    """The defaults with everything a preset says in their place."""
    return replace(
        usual,
        size=preset.size,
        steps=preset.steps,
        guidance=preset.guidance,
        sampler=preset.sampler,
        schedule=preset.schedule,
        clip_skip=preset.clip_skip,
        prefix=preset.prefix,
        suffix=preset.suffix,
        negative_prompt=preset.negative_prompt or None,
        preset=preset,
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


def bundle_embeddings(bundle: Bundle, folder: Path | None) -> Embeddings:
    """The embeddings that came with the bundle's LoRAs and those of a folder, which go before them
    where both have a name. Raises UsageError where there is no such folder."""
    found = bundled_embeddings(bundle.embeddings.read_bytes()) if bundle.embeddings else []
    if folder is not None:
        found += read_embeddings(folder, bundle.family.text_encoders)
    return Embeddings(found, Tokenizer.load(bundle.tokenizer)) if found else NO_EMBEDDINGS


def bundle_chunks(bundle: Bundle) -> int:
    """How many chunks of 77 tokens the bundle's UNet takes."""
    return manifest_chunks(bundle.manifest)


def manifest_chunks(manifest: Manifest) -> int:
    """The same of a bundle of which only the manifest has been read."""
    return manifest.networks["unet"].axes["context"].maximum // CHUNK
