"""The embeddings that lie in a bundle: one safetensors file of `ENCODER/NAME` tensors."""

import hashlib

from sakuga.engine.text.embeddings import Embedding
from sakuga.engine.text.float_tensors import Vectors, float_tensors


def tensor_name(encoder: str, embedding: str) -> str:
    """What the vectors of an embedding for a text encoder are called in the file."""
    return f"{encoder}/{embedding}"


def bundled_embeddings(data: bytes) -> list[Embedding]:
    """The embeddings of a bundle's file. Their hashes are of their vectors, having no file."""
    found: dict[str, dict[str, Vectors]] = {}
    for key, vectors in float_tensors(data).items():
        encoder, _, name = key.partition("/")
        found.setdefault(name, {})[encoder] = vectors
    return [Embedding(name, _sha256(vectors), vectors) for name, vectors in found.items()]


def _sha256(vectors: dict[str, Vectors]) -> str:
    return hashlib.sha256(b"".join(each.tobytes() for each in vectors.values())).hexdigest()
