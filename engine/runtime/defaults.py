"""What a bundle uses where a request says nothing."""

from sakuga.engine.bundle import Bundle
from sakuga.engine.runtime.request import Defaults
from sakuga.profiles.presets import all_presets


def bundle_defaults(bundle: Bundle) -> Defaults:
    """Defaults of the bundle: its preset's, else the family's first bucket and usual settings."""
    preset = all_presets().get(bundle.manifest.preset or "")
    if preset is None:
        return Defaults(size=bundle.family.buckets[0])
    return Defaults(
        size=preset.size,
        steps=preset.steps,
        guidance=preset.guidance,
        sampler=preset.sampler,
        clip_skip=preset.clip_skip,
    )
