"""Embeddings from files, in the formats people share: safetensors, and pickles of torch."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sakuga.engine.errors import UsageError
from sakuga.engine.text.embedding_fit import UnfitError, Vectors, fit
from sakuga.engine.text.embeddings import Embedding
from sakuga.engine.text.float_tensors import float_tensors
from sakuga.engine.text.torch_file import read_torch
from sakuga.engine.text.torch_values import Module, PickleError, Tensor
from sakuga.profiles.families import TextEncoder

_MOST_TENSORS = 8  # read from one file


class _Format(NamedTuple):
    """How a file is read, and how large one is taken; 75 vectors for both of SDXL's encoders have
    614,400 bytes in float32."""

    tensors: Callable[[bytes], Mapping[str, Vectors]]
    most_bytes: int


def read_embeddings(folder: Path, encoders: Sequence[TextEncoder]) -> list[Embedding]:
    """Every embedding in a folder and the folders below it, by the names of the files.

    `encoders`: of the family. A .safetensors file holds what `fit` takes. A .pt or .bin file is a
    pickle of torch with A1111's `string_to_param`, or a dictionary of tensors; only its numbers are
    read, nothing in it is run. What cannot be used is there with its fault, an error once a prompt
    names it, for people keep all of theirs in one folder: embeddings of the other family, damaged
    files, pickles that hold something else. Pickles come first, for the last of a name counts.

    Raises UsageError where there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(
            f"There is no folder {folder}.", hint="Give the folder your embeddings lie in."
        )
    paths = [path for path in folder.rglob("*") if path.suffix.lower() in _FORMATS]
    paths.sort(key=lambda path: (path.suffix.lower() == ".safetensors", path))
    return [_embedding(path, encoders) for path in paths if path.is_file()]


def _embedding(path: Path, encoders: Sequence[TextEncoder]) -> Embedding:
    form = _FORMATS[path.suffix.lower()]
    name = path.stem.encode("utf-8", "replace").decode()  # a file's name may be no text
    try:
        if path.stat().st_size > form.most_bytes:
            raise UnfitError("it is too large for an embedding")
        data = path.read_bytes()
        vectors = fit(form.tensors(data), encoders)
    except (UnfitError, PickleError, ValueError, OSError) as error:
        return Embedding(name, fault=f"{path}: {error}")
    return Embedding(name, hashlib.sha256(data).hexdigest(), vectors)


def pickled_tensors(data: bytes) -> dict[str, Vectors]:
    """The tensors of a pickle of torch: that of `string_to_param`, else those in its dictionary.

    Raises PickleError for what is no such pickle, UnfitError for what holds something else.
    """
    file = read_torch(data)
    if not isinstance(file.value, dict):
        raise UnfitError("it holds no dictionary")
    held = file.value.get("string_to_param", file.value)
    if isinstance(held, Module):
        held = held.parameters
    tensors = held.items() if isinstance(held, dict) else ()
    found = {str(name): tensor for name, tensor in tensors if isinstance(tensor, Tensor)}
    if len(found) > _MOST_TENSORS:
        raise UnfitError(f"it holds {len(found):,} tensors")
    return {name: file.numbers(tensor) for name, tensor in found.items()}


_FORMATS = {
    ".bin": _Format(pickled_tensors, 1 << 21),
    ".pt": _Format(pickled_tensors, 1 << 21),
    ".safetensors": _Format(float_tensors, 1 << 24),
}
