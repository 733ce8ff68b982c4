"""Embeddings from files: the safetensors formats people share."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.errors import UsageError
from sakuga.engine.text.chunks import PIECE
from sakuga.engine.text.embeddings import Embedding, Embeddings
from sakuga.engine.text.tokenizer import Tokenizer
from sakuga.profiles.families import TextEncoder

_MOST_BYTES = 1 << 24  # 75 vectors for both encoders in float32 have 614,400
_PICKLES = (".pt", ".bin")
_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_KEYS = ("clip_l", "clip_g")  # SDXL's encoders, in the family's order
_PICKLE = "it is a pickle, a program that would run when opened; get it as .safetensors"

Vectors = NDArray[np.float32]


class _Unfit(Exception):
    """Why a file is no embedding for the family."""


def load_embeddings(
    folder: Path, encoders: Sequence[TextEncoder], tokenizer: Tokenizer
) -> Embeddings:
    """Every embedding in a folder and the folders below it, by the names of the files.

    `encoders`: of the family. A file holds `clip_l` [n, 768] and `clip_g` [n, 1280] for SDXL; for
    SD1.5 `emb_params` [n, 768], or one tensor of any name, [n, 768] or [768]. What cannot be used
    is an error once a prompt names it, for people keep all of theirs in one folder: embeddings of
    the other family, damaged files, and pickles (.pt, .bin), which are never opened.

    Raises UsageError where there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(
            f"There is no folder {folder}.", hint="Give the folder your embeddings lie in."
        )
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    pickles = [path for path in paths if path.suffix.lower() in _PICKLES]
    files = [path for path in paths if path.suffix.lower() == ".safetensors"]
    unread = [Embedding(path.stem, fault=f"{path}: {_PICKLE}") for path in pickles]
    return Embeddings([*unread, *(_embedding(path, encoders) for path in files)], tokenizer)


def _embedding(path: Path, encoders: Sequence[TextEncoder]) -> Embedding:
    try:
        data = _bytes(path)
        vectors = _vectors(_tensors(data), encoders)
    except (_Unfit, OSError) as error:
        return Embedding(path.stem, fault=f"{path}: {error}")
    return Embedding(path.stem, hashlib.sha256(data).hexdigest(), vectors)


def _vectors(tensors: Mapping[str, Vectors], encoders: Sequence[TextEncoder]) -> dict[str, Vectors]:
    """The vectors for each encoder, by its name."""
    if tensors.keys() >= set(_KEYS):
        found = [tensors[key] for key in _KEYS]
    elif len(tensors) == 1:
        found = [*tensors.values()]
    elif "emb_params" in tensors:
        found = [tensors["emb_params"]]
    else:
        raise _Unfit(f"it holds {', '.join(sorted(tensors)[:5]) or 'no tensor'}")
    found = [tensor[None] if tensor.ndim == 1 else tensor for tensor in found]
    widths = [f"{encoder.hidden}" for encoder in encoders]
    if [each.shape[1:] for each in found] != [(encoder.hidden,) for encoder in encoders]:
        here = " and ".join("x".join(map(str, each.shape[1:])) for each in found)
        raise _Unfit(f"its vectors have {here} numbers, this model's {' and '.join(widths)}")
    counts = {len(each) for each in found}
    if len(counts) > 1 or not 1 <= min(counts) <= PIECE:
        raise _Unfit(f"it has {' and '.join(map(str, sorted(counts)))} vectors")
    if not all(np.isfinite(each).all() for each in found):
        raise _Unfit("it holds NaN or infinity")
    return dict(zip((encoder.name for encoder in encoders), found, strict=True))


def _bytes(path: Path) -> bytes:
    if path.stat().st_size > _MOST_BYTES:
        raise _Unfit("it is too large for an embedding")
    return path.read_bytes()


def _tensors(data: bytes) -> dict[str, Vectors]:
    """The tensors of a safetensors file."""
    length = int.from_bytes(data[:8], "little")
    body = memoryview(data)[8 + length :]
    try:
        header = json.loads(data[8 : 8 + length].decode("utf-8"))
        header.pop("__metadata__", None)
        return {name: _tensor(body, **entry) for name, entry in header.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _Unfit("it is no safetensors file of floats") from error


def _tensor(body: memoryview, dtype: str, shape: list[int], data_offsets: list[int]) -> Vectors:
    start, stop = data_offsets
    if not 0 <= start <= stop <= len(body):
        raise ValueError(data_offsets)
    raw = np.frombuffer(body[start:stop], _DTYPES[dtype]).reshape(shape)
    if dtype == "BF16":  # the upper half of a float32
        return (raw.astype("<u4") << 16).view("<f4")
    with np.errstate(over="ignore"):  # found where finite numbers are asked for
        return raw.astype(np.float32)
