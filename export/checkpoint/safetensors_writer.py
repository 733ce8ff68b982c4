"""Writes a safetensors file tensor by tensor, so that only one is in memory at a time."""

import json
import math
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from sakuga.engine.platform import fsync_file, fsync_folder
from sakuga.export.checkpoint.safetensors_header import ITEM_SIZES
from sakuga.export.checkpoint.sources import Array, Shape

_NUMPY = {"F16": "<f2", "F32": "<f4", "I64": "<i8"}


@dataclass(frozen=True)
class PlannedTensor:
    """A tensor to be written: `make` gives it, in `shape`, when its turn comes."""

    dtype: Literal["F16", "F32", "I64"]
    shape: Shape
    make: Callable[[], Array]


def write_safetensors(
    path: Path, tensors: Mapping[str, PlannedTensor], metadata: Mapping[str, str]
) -> None:
    """Write the file whole or not at all: temporary file, fsync, rename, fsync of the folder."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(_header(tensors, metadata))
            for name, tensor in tensors.items():
                _write_tensor(file, name, tensor)
        fsync_file(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


def _write_tensor(file: BinaryIO, name: str, tensor: PlannedTensor) -> None:
    array = tensor.make()
    assert array.shape == tensor.shape, f"{name} is {array.shape}, planned {tensor.shape}"
    file.write(array.astype(_NUMPY[tensor.dtype], order="C", copy=False).data)


def _header(tensors: Mapping[str, PlannedTensor], metadata: Mapping[str, str]) -> bytes:
    entries: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, tensor in tensors.items():
        start, end = end, end + math.prod(tensor.shape) * ITEM_SIZES[tensor.dtype]
        entries[name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # readers that map the file want aligned tensors
    return len(text).to_bytes(8, "little") + text
