"""Bind a checkpoint's tensors to a shipped graph: one streaming pass, one tensor in memory.

The graph names each weight after its tensor in the checkpoint, with an ending where it wants
another form of it (`weight_forms.py`), and says its type. The binder reads, casts, brings into
form, writes, and hashes what it writes.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Protocol

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto

from sakuga.engine.errors import TensorError
from sakuga.export.checkpoint.sources import Array
from sakuga.export.hashing_writer import HashingWriter
from sakuga.export.weight_forms import formed, source

MODEL_FILE = "model.onnx"
WEIGHTS_FILE = "weights.bin"

# Large tensors start on a page so that a runtime can map them; small ones on a cache line.
_PAGE, _LINE, _LARGE = 4096, 64, 1 << 16

_NUMPY_TYPES: dict[int, np.dtype] = {
    TensorProto.FLOAT: np.dtype(np.float32),
    TensorProto.FLOAT16: np.dtype(np.float16),
    TensorProto.BFLOAT16: np.dtype(ml_dtypes.bfloat16),
}

# Sees every tensor on its way, canonical name and values in, values out: the place for LoRA.
Adapt = Callable[[str, Array], Array]
Advance = Callable[[int], None]


class Tensors(Protocol):
    """Where the weights come from: a component of a checkpoint."""

    def read(self, name: str) -> Array:
        """The tensor of this canonical name."""
        ...


@dataclass(frozen=True)
class Bound:
    """The files a binding wrote: SHA-256 (hex) and size by file name."""

    sha256: dict[str, str]
    size_bytes: dict[str, int]


def bind(
    model: onnx.ModelProto, tensors: Tensors, folder: Path, adapt: Adapt, advance: Advance
) -> Bound:
    """Write `model.onnx` and `weights.bin` into `folder`; `advance` is told bytes written.

    Raises TensorError for a tensor whose values do not fit the graph's type.
    """
    folder.mkdir(parents=True)
    with (folder / WEIGHTS_FILE).open("xb") as file:
        writer = HashingWriter(file)
        # Forms of one tensor lie side by side, so each is read, adapted and cast once.
        for (name, kind), weights in groupby(weights_of(model), _source_and_type):
            values = cast(name, adapt(name, tensors.read(name)), _NUMPY_TYPES[kind])
            for weight in weights:
                data = _weight_data(weight, values)
                writer.write(bytes(-writer.position % (_PAGE if data.nbytes >= _LARGE else _LINE)))
                _locate(weight, writer.position, data.nbytes)
                writer.write(data.reshape(-1).view(np.uint8).data)
                advance(data.nbytes)
    graph = model.SerializeToString(deterministic=True)
    (folder / MODEL_FILE).write_bytes(graph)
    return Bound(
        {WEIGHTS_FILE: writer.sha256, MODEL_FILE: hashlib.sha256(graph).hexdigest()},
        {WEIGHTS_FILE: writer.position, MODEL_FILE: len(graph)},
    )


def weights_of(model: onnx.ModelProto) -> list[TensorProto]:
    """The initializers of a shipped graph that wait for a checkpoint's values."""
    return [t for t in model.graph.initializer if t.data_location == TensorProto.EXTERNAL]


def weights_size_bytes(model: onnx.ModelProto) -> int:
    """Bytes the weights of the graph take, padding aside."""
    return sum(
        int(np.prod(weight.dims, dtype=np.int64)) * _NUMPY_TYPES[weight.data_type].itemsize
        for weight in weights_of(model)
    )


def cast(name: str, values: Array, dtype: np.dtype) -> Array:
    """The tensor in another float type. Raises TensorError where values are lost to infinity."""
    with np.errstate(over="ignore"):
        out = values.astype(dtype, copy=False)
    if not np.isfinite(out).all():
        raise _unfit(name, values, dtype)
    return out


def _unfit(name: str, values: Array, dtype: np.dtype) -> TensorError:
    lost = int(np.count_nonzero(~np.isfinite(values)))
    if lost:
        return TensorError(
            f"{name} holds NaN or infinity.",
            note=f"{lost:,} of its {values.size:,} values are not finite.",
            hint="The checkpoint is damaged: download it again, or use another.",
        )
    return TensorError(
        f"{name} holds values that {dtype} cannot.",
        note=f"Largest magnitude: {np.abs(values.astype(np.float64)).max():.4g}.",
        hint="Build with --precision fp32.",
    )


def _source_and_type(weight: TensorProto) -> tuple[str, int]:
    return source(weight.name), weight.data_type


def _weight_data(weight: TensorProto, values: Array) -> Array:
    form = formed(weight.name, values)
    assert form.shape == tuple(weight.dims), (weight.name, form.shape, list(weight.dims))
    return np.ascontiguousarray(form, values.dtype)


def _locate(weight: TensorProto, offset: int, length: int) -> None:
    del weight.external_data[:]
    for key, value in (("location", WEIGHTS_FILE), ("offset", offset), ("length", length)):
        weight.external_data.add(key=key, value=str(value))
