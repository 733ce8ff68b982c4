"""From the settings in a picture to the request that makes it again."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sakuga.engine.bundle import Bundle
from sakuga.engine.errors import MetadataError, UsageError
from sakuga.engine.image.infotext import DEFAULTS, Infotext
from sakuga.engine.image.infotext_keys import KEYS, NAMES
from sakuga.engine.runtime import rescue
from sakuga.engine.runtime.finish import WINDOWS
from sakuga.engine.runtime.merged import merged_doubts, merged_obstacles
from sakuga.engine.runtime.parameters import made_by
from sakuga.engine.runtime.remake_stages import (
    NOTHING,
    Begun,
    Given,
    read_stages,
    without,
)
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.seeds import random_seed
from sakuga.engine.sampling.compat import COMPATS
from sakuga.engine.sampling.noise.sources import find_rng
from sakuga.engine.sampling.samplers import SAMPLERS, sampler_name
from sakuga.engine.sampling.schedules import schedule_name
from sakuga.engine.text.embeddings import NO_EMBEDDINGS, Embeddings
from sakuga.engine.text.networks import read_networks
from sakuga.engine.text.segments import emphasis_name
from sakuga.profiles.buckets import Size

# Keys of other tools that change no pixel.
_HARMLESS = {
    "User",
    "Created Date",
    "Civitai resources",
    "Civitai metadata",
    "Template",
    rescue.KEY,
    WINDOWS,
}
GPU = "GPU"  # A1111's usual noise source, of which NV is the part that all GPUs agree on


@dataclass(frozen=True)
class Remake:
    """The request that makes a picture again, and what may keep it from being the same picture."""

    request: Request
    notes: tuple[str, ...]


def remake(
    info: Infotext,
    bundle: Bundle,
    backend: str,
    ignore: Collection[str] = (),
    embeddings: Embeddings = NO_EMBEDDINGS,
    given: Given = NOTHING,
) -> Remake:
    """Everything the settings say, as a request for this bundle.

    `ignore` names settings to leave out, as the error does: the first word of a key, such as
    "model" or "hires". A picture or mask in `given` is then taken whatever its hash. Raises
    MetadataError that lists what cannot be made again, PictureFileError.
    """
    begun = read_stages(info.extra, info.size, given)
    obstacles = _obstacles(info, bundle, begun) | _lacking(info, embeddings)
    ignored = {name.strip().casefold() for name in ignore}
    in_the_way = {key: words for key, words in obstacles.items() if _topic(key) not in ignored}
    if in_the_way:
        topics = ",".join(dict.fromkeys(map(_topic, in_the_way)))
        raise MetadataError(
            "This picture cannot be made again with this bundle.",
            note="; ".join(f"{key} {words}" for key, words in in_the_way.items()) + ".",
            hint=f"--ignore {topics} leaves that out, and gives another picture.",
        )
    begun = without(begun, ignored)
    return _remake(info, bundle, backend, begun, obstacles, "Left out as asked")


def remake_in_part(
    info: Infotext,
    bundle: Bundle,
    backend: str,
    embeddings: Embeddings = NO_EMBEDDINGS,
    given: Given = NOTHING,
) -> Remake:
    """What the settings say and this bundle can do, for a person to look at; the notes tell what
    was left out."""
    begun = read_stages(info.extra, info.size, given)
    obstacles = _obstacles(info, bundle, begun) | _lacking(info, embeddings)
    return _remake(info, bundle, backend, begun, obstacles, "Left out")


def _remake(
    info: Infotext,
    bundle: Bundle,
    backend: str,
    begun: Begun,
    obstacles: Mapping[str, str],
    words: str,
) -> Remake:
    left_out = [f"{key} {text}" for key, text in obstacles.items()]
    notes = [f"{words}: {'; '.join(left_out)}."] if left_out else []
    begun = without(begun, set(map(_topic, obstacles)))
    request = _request(info, bundle, obstacles)
    request = replace(request, init=begun.init, stages=begun.stages)
    return Remake(request, (*notes, *begun.doubts, *_doubts(info, bundle, backend)))


def with_options(info: Infotext, options: Mapping[str, Any]) -> Infotext:
    """The settings with fields of a `Request` in the place of their own."""
    width = options.get("width", info.size.width)
    height = options.get("height", info.size.height)
    others = {name: value for name, value in options.items() if name not in ("width", "height")}
    if options.get("variation_strength") and info.variation_seed is None:
        others.setdefault("variation_seed", random_seed())
    return replace(info, size=Size(width, height), **others)


def _topic(key: str) -> str:
    return key.split()[0].casefold()


def _obstacles(info: Infotext, bundle: Bundle, begun: Begun) -> dict[str, str]:
    """Keys whose values this version, or this bundle, cannot follow, and why in a few words."""
    found: dict[str, str] = {}
    checkpoint = bundle.manifest.checkpoint
    if info.model_hash not in (None, checkpoint.model_hash):
        here = f"the bundle holds {checkpoint.model_hash} ({checkpoint.name})"
        found["Model hash"] = f"{info.model_hash} ({info.model or 'unnamed'}), {here}"
    found |= merged_obstacles(info, bundle.manifest)
    if not _known(sampler_name, info.sampler):
        found["Sampler"] = info.sampler
    if info.compat not in COMPATS:
        found["Compat"] = info.compat
    if not _known(schedule_name, info.schedule):
        found["Schedule type"] = info.schedule
    if not _known(emphasis_name, info.emphasis):
        found["Emphasis"] = info.emphasis
    if info.rng != GPU and not _known(find_rng, info.rng):
        found["RNG"] = info.rng
    if info.variation_strength and info.variation_seed is None:
        found["Variation seed"] = "is not told"
    found |= {key: text for key, text in begun.obstacles.items() if key not in _HARMLESS}
    return found


def _lacking(info: Infotext, embeddings: Embeddings) -> dict[str, str]:
    """Embeddings of the picture that are not at hand. A1111 hashes files or what is in them."""
    here = {re.sub("[:,]", "", name): digest for name, digest in embeddings.hashes.items()}
    lacking = {name: digest for name, digest in info.embeddings.items() if here.get(name) != digest}
    return {NAMES["embeddings"]: KEYS[NAMES["embeddings"]].kind.write(lacking)} if lacking else {}


def _known(find: Callable[[str], object], name: str) -> bool:
    try:
        find(name)
    except UsageError:
        return False
    return True


def _emphasis(info: Infotext) -> str | None:
    return None if info.emphasis == DEFAULTS["emphasis"] else info.emphasis


def _schedule(info: Infotext, compat: str, obstacles: Collection[str]) -> str | None:
    """A1111 writes a schedule beside samplers that have their own and do not follow it."""
    if {"Sampler", "Schedule type"} & set(obstacles):
        return None
    own = SAMPLERS[sampler_name(info.sampler)].own is not None
    return None if own and compat == "a1111" else info.schedule


def _prompt(info: Infotext, bundle: Bundle, compat: str) -> str:
    """The prompt; without its LoRA tags where the bundle holds none of these names: they are left
    out as asked, or are there under another name."""
    named = {lora.name for lora in bundle.manifest.loras}
    if compat != "a1111" or info.loras.keys() <= named:
        return info.prompt
    return read_networks(info.prompt)[0]


def _request(info: Infotext, bundle: Bundle, obstacles: Mapping[str, str]) -> Request:
    compat = "a1111" if "Compat" in obstacles else info.compat
    # Where no clip skip is written it was 1, but for SDXL in ComfyUI and for diffusers none at all.
    one = compat == "a1111" or (compat == "comfy" and bundle.family.kind == "sd15")
    clip_skip = 1 if info.clip_skip is None and one else info.clip_skip
    zeroed = info.negative_zeroed and not info.negative_prompt
    varied = info.variation_strength and "Variation seed" not in obstacles
    return Request(
        prompt=_prompt(info, bundle, compat),
        negative_prompt=None if zeroed else info.negative_prompt,
        width=info.size.width,
        height=info.size.height,
        steps=info.steps,
        guidance=info.guidance,
        guidance_interval=info.guidance_interval,
        sampler=None if "Sampler" in obstacles else info.sampler,
        schedule=_schedule(info, compat, obstacles),
        eta=info.eta,
        s_noise=None if info.s_noise == 1 else info.s_noise,
        seed=info.seed,
        compat=compat,
        clip_skip=clip_skip,
        emphasis=None if {"Emphasis", "Compat"} & set(obstacles) else _emphasis(info),
        pad_conds=info.pad_conds and info.compat == "a1111",
        rng="NV" if info.rng == GPU or "RNG" in obstacles else info.rng,
        variation_seed=info.variation_seed if varied else None,
        variation_strength=info.variation_strength if varied else None,
        seed_resize=info.seed_resize,
        ensd=info.ensd,
        prefix="none",  # the texts are those that were used
    )


def _doubts(info: Infotext, bundle: Bundle, backend: str) -> list[str]:
    """Why the pixels may differ although every setting is followed."""
    doubts = merged_doubts(info)
    if info.model_hash is None:
        doubts.append("The picture does not say which model made it.")
    if not (info.version or "").startswith("sakuga "):
        doubts.append(
            f"{info.version or 'Another tool'} made the picture: the rules of {info.compat} are "
            "followed, the last digits of its arithmetic are not."
        )
        if info.rng == GPU:
            doubts.append(
                "Its noise was drawn on a GPU; it is drawn as NV here, which is the same for GPUs "
                "that draw the whole picture's noise at once."
            )
        return doubts
    differing = [
        f"{NAMES[field]} {getattr(info, field) or 'unknown'}, here {here}"
        for field, here in made_by(bundle.manifest, backend).items()
        if getattr(info, field) != here
    ]
    if differing:
        made = "; ".join(differing)
        doubts.append(f"Pixels may differ in their last digits: the picture was made with {made}.")
    return doubts
