"""LoRAs and the VAE a bundle was built with, in the settings of its pictures and back.

Names and weights are told; what decides is the hash, because people rename files.
"""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from sakuga.engine.image.infotext import Infotext
from sakuga.engine.image.infotext_keys import KEYS, NAMES
from sakuga.engine.manifest import LoraEntry, Manifest

_MIN_HASH = 8  # hex digits; what is shorter could be anything


def merged_fields(manifest: Manifest) -> dict[str, Any]:
    """The fields of an `Infotext` that name what was merged into the checkpoint."""
    vae = manifest.vae
    return {
        "vae": vae.name if vae else None,
        "vae_hash": vae.hash if vae else None,
        "loras": {lora.name: lora.hash for lora in manifest.loras},
        "lora_weights": {lora.name: _weights(lora) for lora in manifest.loras},
    }


def merged_obstacles(info: Infotext, manifest: Manifest) -> dict[str, str]:
    """Keys that speak of another VAE, other LoRAs or other weights, and in a few words how."""
    found: dict[str, str] = {}
    here = merged_fields(manifest)
    if not _same_vae(info, manifest):
        asked = " ".join(filter(None, (info.vae, info.vae_hash)))
        holds = here["vae"] or "the checkpoint's own"
        found[NAMES["vae"]] = f"{asked or 'not named'}, the bundle holds {holds}"
    pairs = _pairs(info.loras, manifest)
    if pairs is None:
        found[NAMES["loras"]] = _differing("loras", info.loras, here["loras"])
        return found
    told = {name: info.lora_weights.get(name) for name in pairs}
    if any(told[name] not in (None, _weights(lora)) for name, lora in pairs.items()):
        words = _differing("lora_weights", info.lora_weights, here["lora_weights"])
        found[NAMES["lora_weights"]] = words
    return found


def merged_doubts(info: Infotext) -> list[str]:
    """What the settings leave open."""
    if info.loras.keys() - info.lora_weights.keys():
        return ["The picture does not say with which weights its LoRAs were merged."]
    return []


def _same_vae(info: Infotext, manifest: Manifest) -> bool:
    vae = manifest.vae
    if vae is None:
        return info.vae is None and info.vae_hash is None
    if info.vae_hash is not None:
        return _same_hash(info.vae_hash, vae.sha256)
    return info.vae is not None and PurePath(info.vae).stem == PurePath(vae.name).stem


def _pairs(asked: Mapping[str, str], manifest: Manifest) -> dict[str, LoraEntry] | None:
    """The bundle's LoRA for each name of the picture, None unless they are the same ones."""
    left, pairs = list(manifest.loras), dict[str, LoraEntry]()
    for name, digest in asked.items():
        lora = next((each for each in left if _is(each, digest)), None)
        if lora is None:
            return None
        left.remove(lora)
        pairs[name] = lora
    return None if left else pairs


def _is(lora: LoraEntry, digest: str) -> bool:
    return _same_hash(digest, lora.hash) or _same_hash(digest, lora.sha256)


def _same_hash(told: str, whole: str) -> bool:
    """Tools write the first eight, ten or twelve digits, or all of them."""
    told, whole = sorted((told.casefold(), whole.casefold()), key=len)
    return len(told) >= _MIN_HASH and whole.startswith(told)


def _weights(lora: LoraEntry) -> str:
    """One number, or the text encoders' and the UNet's: `0.8`, `1/0.5`."""
    each = [f"{weight:g}" for weight in (lora.text_weight, lora.unet_weight)]
    return "/".join(dict.fromkeys(each))


def _differing(field: str, asked: Mapping[str, str], here: Mapping[str, str]) -> str:
    write = KEYS[NAMES[field]].kind.write
    return f"{write(asked) or 'none'}, the bundle holds {write(here) or 'none'}"
