"""The tensors of a small safetensors file, all of them floats."""

import json

import numpy as np
from numpy.typing import NDArray

_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}

Vectors = NDArray[np.float32]


def float_tensors(data: bytes) -> dict[str, Vectors]:
    """The tensors of a file by name, as float32. Raises ValueError for anything else."""
    length = int.from_bytes(data[:8], "little")
    body = memoryview(data)[8 + length :]
    try:
        header = json.loads(data[8 : 8 + length].decode("utf-8"))
        header.pop("__metadata__", None)
        return {name: _tensor(body, **entry) for name, entry in header.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError("it is no safetensors file of floats") from error


def _tensor(body: memoryview, dtype: str, shape: list[int], data_offsets: list[int]) -> Vectors:
    start, stop = data_offsets
    if not 0 <= start <= stop <= len(body):
        raise ValueError(data_offsets)
    raw = np.frombuffer(body[start:stop], _DTYPES[dtype]).reshape(shape)
    if dtype == "BF16":  # the upper half of a float32
        return (raw.astype("<u4") << 16).view("<f4")
    with np.errstate(over="ignore"):  # found where finite numbers are asked for
        return raw.astype(np.float32)
