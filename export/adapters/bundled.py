"""Textual inversions that lie in LoRA files (`bundle_emb.NAME.…`): what a bundle keeps of them.

A1111's format: `string_to_param.*` for SD1.5, `clip_l` and `clip_g` for SDXL.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sakuga.engine.errors import UsageError
from sakuga.engine.text.embedding_fit import UnfitError, Vectors, fit
from sakuga.engine.text.tokenizer import check_text
from sakuga.export.adapters.lora_file import LoraFile
from sakuga.profiles.families import TextEncoder

_LARGEST = 1 << 20  # numbers of one tensor


BundledVectors = Mapping[str, Mapping[str, Vectors]]  # by name and text encoder, [n, hidden]


@dataclass(frozen=True, eq=False)
class BundledEmbeddings:
    """`vectors`: in float32. `unmatched`: keys of what is no embedding for the family."""

    vectors: BundledVectors
    unmatched: tuple[str, ...]


def bundled_in(lora: LoraFile, encoders: Sequence[TextEncoder]) -> BundledEmbeddings:
    """The embeddings in a LoRA file, and the keys of what is none for the family."""
    vectors: dict[str, Mapping[str, Vectors]] = {}
    unmatched: list[str] = []
    for name, keys in lora.parts.embeddings.items():
        try:
            vectors[_usable(name)] = fit(_read(lora, keys), encoders)
        except (UnfitError, UsageError):
            unmatched += keys.values()
    return BundledEmbeddings(vectors, tuple(unmatched))


def joined(files: Sequence[tuple[LoraFile, BundledVectors]]) -> BundledVectors:
    """The embeddings of all LoRAs. Raises UsageError where two mean different ones by one name."""
    found: dict[str, Mapping[str, Vectors]] = {}
    for lora, vectors in files:
        for name, given in vectors.items():
            known = found.setdefault(name, given)
            if not all(np.array_equal(known[encoder], given[encoder]) for encoder in given):
                raise UsageError(
                    f"Two LoRAs bring an embedding called {name}.",
                    note=f"That of {lora.path} is not that of a LoRA before it, and a prompt could "
                    "name one alone.",
                    hint="Build a bundle with one of the two.",
                )
    return found


def _usable(name: str) -> str:
    """A name a prompt can say."""
    if not name.strip():
        raise UnfitError("it has no name")
    check_text(name)
    return name


def _read(lora: LoraFile, keys: Mapping[str, str]) -> dict[str, Vectors]:
    infos = [lora.file.tensors[key] for key in keys.values()]
    if any(math.prod(info.shape) > _LARGEST for info in infos):
        raise UnfitError("it is too large for an embedding")
    if any(not info.dtype.endswith(("F64", "F32", "F16")) for info in infos):
        raise UnfitError("its numbers are no floats")
    with np.errstate(over="ignore"):  # `fit` asks for finite numbers
        return {tensor: lora.file.read(key).astype(np.float32) for tensor, key in keys.items()}
