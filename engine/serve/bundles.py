"""What can be asked for: bundles, what the cards of their models recommend, samplers."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from sakuga.engine.errors import UsageError
from sakuga.engine.presets import known_presets
from sakuga.engine.refine.latents import LATENT_UPSCALERS
from sakuga.engine.runtime.defaults import bundle_sizes
from sakuga.engine.runtime.request import Defaults
from sakuga.engine.runtime.resolver import Resolver
from sakuga.engine.sampling.choice import choose
from sakuga.engine.sampling.compat import find_compat
from sakuga.engine.sampling.samplers import SAMPLERS
from sakuga.engine.sampling.schedules import AUTOMATIC, SCHEDULES
from sakuga.engine.serve.native import error_view
from sakuga.engine.serve.served import Served, ServedBundle
from sakuga.profiles.buckets import Size
from sakuga.profiles.preset import Preset
from sakuga.profiles.preset_file import NO_PRESET

_NOT_TOLD = ("file", "hashes")  # where it lies is nobody's business


def routes(served: Served) -> APIRouter:
    """`/v1/bundles`."""
    router = APIRouter(tags=["bundles"])

    @router.get("/v1/bundles")
    async def bundles() -> dict[str, Any]:
        """The bundles, the first of which is the default; samplers and schedules by the names
        pictures tell; `notes`: what is amiss with the presets."""
        presets, notes = _presets()
        return {
            "bundles": [_bundle(served, each, presets) for each in served.bundles.values()],
            "samplers": [each.label for each in SAMPLERS.values()],
            "schedules": [AUTOMATIC, *(each.label for each in SCHEDULES.values())],
            "notes": notes,
        }

    return router


def _presets() -> tuple[Sequence[Preset], list[str]]:
    """All of them. One file that is broken hides all but the bundles' own, and is told; not where
    it lies, though."""
    try:
        return list(known_presets().values()), []
    except UsageError:
        return [], ["A preset on the server is broken, so none but the bundles' own are here: "
                    "`sakuga presets` says there which one."]  # fmt: skip


def _bundle(served: Served, bundle: ServedBundle, presets: Sequence[Preset]) -> dict[str, Any]:
    manifest, own = bundle.bundle.manifest, bundle.preset
    others = [
        each
        for each in presets
        if each.family == manifest.family and (own is None or each.name != own.name)
    ]
    known = [*([own] if own else []), *others, None]
    return {
        "name": bundle.name,
        "family": manifest.family,
        "model": manifest.checkpoint.name,
        "model_hash": manifest.checkpoint.model_hash,
        "licence": manifest.licence,
        "ready": bundle.keeper.ready,
        "trouble": error_view(served, bundle.keeper.trouble),
        "sides": asdict(bundle_sizes(bundle.bundle)),
        "loras": [each.name for each in manifest.loras],
        "embeddings": [each.name for each in bundle.prompts.embeddings.usable],
        "upscalers": [*LATENT_UPSCALERS, *bundle.tools.upscalers.names()],
        "detectors": bundle.tools.detectors.names(),
        "preset": own.name if own else NO_PRESET,
        "presets": list(_usable(served, bundle, known)),
    }


def _usable(
    served: Served, bundle: ServedBundle, presets: Sequence[Preset | None]
) -> Iterator[dict[str, Any]]:
    """What each preset says, and the settings it stands for with this bundle.

    A user's own may name a sampler that is not here; it is told with its fault in their place.
    """
    for preset in presets:
        told = {"name": NO_PRESET, "title": "No preset"} if preset is None else asdict(preset)
        for name in _NOT_TOLD:
            told.pop(name, None)
        try:
            yield told | _settings(bundle, preset)
        except UsageError as error:
            yield told | {"fault": served.discretion.text(error.what)}


def _settings(served: ServedBundle, preset: Preset | None) -> dict[str, Any]:
    """`defaults` and `sizes`: the family's buckets and the card's, as far as they are rendered."""
    opened = served.keeper.opened
    sizes = opened.sizes if opened else None
    usual = Resolver(served.bundle, preset, served.prompts, sizes, served.tools).defaults
    rule = usual.sizes or served.bundle.family.sizes
    wanted = dict.fromkeys((*served.bundle.family.buckets, *(preset.sizes if preset else ())))
    if not rule.allows(usual.size):
        usual_size = rule.nearest(usual.size)[0]
    else:
        usual_size = usual.size
        wanted |= {usual_size: None}
    return {
        "defaults": _defaults(usual, usual_size),
        "sizes": [
            asdict(size) | {"recommended": preset is None or preset.recommends(size)}
            for size in wanted
            if rule.allows(size)
        ],
    }


def _defaults(usual: Defaults, size: Size) -> dict[str, Any]:
    """Fields of a job, as compat a1111 takes them."""
    choice = choose(find_compat("a1111"), usual.sampler, usual.schedule, usual.timestep_spacing)
    return {
        "negative_prompt": usual.negative_prompt or "",
        **asdict(size),
        "steps": usual.steps,
        "guidance": usual.guidance,
        "sampler": SAMPLERS[choice.sampler].label,
        "schedule": choice.label,
        "clip_skip": usual.clip_skip or 1,
    }
