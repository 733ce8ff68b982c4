"""Embeddings from files: the safetensors formats people share."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.errors import FileFormatError, UsageError
from sakuga.engine.text.chunks import PIECE
from sakuga.engine.text.embeddings import Embedding, Embeddings
from sakuga.engine.text.tokenizer import Tokenizer
from sakuga.profiles.families import TextEncoder

_MOST_BYTES = 1 << 24  # 75 vectors for both encoders in float32 have 614,400
_PICKLES = (".pt", ".bin", ".pth", ".ckpt")
_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_KEYS = ("clip_l", "clip_g")  # SDXL's encoders, in the family's order

Tensors = Mapping[str, NDArray[np.float32]]


def load_embeddings(
    folder: Path, encoders: Sequence[TextEncoder], tokenizer: Tokenizer
) -> Embeddings:
    """Every embedding in a folder and the folders below it, by the names of the files.

    `encoders`: of the family. A file is `clip_l` [n, 768] and `clip_g` [n, 1280] for SDXL; for
    SD1.5 `emb_params` [n, 768], or one tensor of any name, [n, 768] or [768]. Those of the other
    family are passed over, for people keep both in one folder.

    Raises UsageError where there is no such folder, and for a pickle (.pt, .bin), which is a
    program and not read; FileFormatError for a file that is no embedding.
    """
    if not folder.is_dir():
        raise UsageError(
            f"There is no folder {folder}.", hint="Give the folder your embeddings lie in."
        )
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in paths:
        if path.suffix.lower() in _PICKLES:
            raise _pickle(path)
    found = [_embedding(path, encoders) for path in paths if path.suffix.lower() == ".safetensors"]
    return Embeddings([each for each in found if each is not None], tokenizer)


def _embedding(path: Path, encoders: Sequence[TextEncoder]) -> Embedding | None:
    """The embedding in a file, None for one of another family."""
    data = _bytes(path)
    tensors = _tensors(data, path)
    if tensors.keys() >= set(_KEYS):
        found = [tensors[key] for key in _KEYS]
    elif len(tensors) == 1:
        found = [*tensors.values()]
    elif "emb_params" in tensors:
        found = [tensors["emb_params"]]
    else:
        raise _bad(path, f"it holds {', '.join(sorted(tensors)[:5]) or 'nothing'}")
    vectors = [tensor[None] if tensor.ndim == 1 else tensor for tensor in found]
    if [each.shape[1:] for each in vectors] != [(encoder.hidden,) for encoder in encoders]:
        return None
    counts = {len(each) for each in vectors}
    if len(counts) > 1 or not 1 <= min(counts) <= PIECE:
        raise _bad(path, f"it has {' and '.join(map(str, sorted(counts)))} vectors")
    if not all(np.isfinite(each).all() for each in vectors):
        raise _bad(path, "it holds NaN or infinity")
    names = (encoder.name for encoder in encoders)
    by_encoder = dict(zip(names, vectors, strict=True))
    return Embedding(path.stem, hashlib.sha256(data).hexdigest(), by_encoder)


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise _bad(path, "it is too large")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}.", hint="Check its rights."
        ) from error


def _tensors(data: bytes, path: Path) -> Tensors:
    """The tensors of a safetensors file, in float32."""
    length = int.from_bytes(data[:8], "little")
    body = memoryview(data)[8 + length :]
    try:
        header = json.loads(data[8 : 8 + length].decode("utf-8"))
        header.pop("__metadata__", None)
        return {name: _tensor(body, **entry) for name, entry in header.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _bad(path, "it is no safetensors file of floats") from error


def _tensor(
    body: memoryview, dtype: str, shape: list[int], data_offsets: list[int]
) -> NDArray[np.float32]:
    start, stop = data_offsets
    if not 0 <= start <= stop <= len(body):
        raise ValueError(data_offsets)
    raw = np.frombuffer(body[start:stop], _DTYPES[dtype]).reshape(shape)
    if dtype == "BF16":  # the upper half of a float32
        return (raw.astype("<u4") << 16).view("<f4").reshape(shape)
    return raw.astype(np.float32)


def _bad(path: Path, what: str) -> FileFormatError:
    return FileFormatError(
        f"{path} is no embedding: {what}.",
        note="An embedding is one tensor of vectors, or clip_l and clip_g for SDXL.",
        hint="Take it out of the folder, or download it again.",
    )


def _pickle(path: Path) -> UsageError:
    return UsageError(
        f"{path} is a pickle, which is not read.",
        note="A pickle is a program that runs when it is opened.",
        hint="Get the embedding as .safetensors, or take the file out of the folder.",
    )
