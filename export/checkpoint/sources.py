"""Where a canonical tensor comes from: a key of a file and what to do with the tensor found there.

Every operation has its inverse, so that the same tables serve reading and writing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Shape = tuple[int, ...]

# first/second/last third: rows of a fused query, key, value projection.
# transposed: the file stores x @ P, a Linear the transpose of it.
# squeezed: a 1x1 convolution where a Linear is wanted, [out, in, 1, 1] to [out, in].
Operation = Literal["same", "first third", "second third", "last third", "transposed", "squeezed"]

_THIRDS = {"first third": 0, "second third": 1, "last third": 2}


@dataclass(frozen=True)
class Source:
    """One place a canonical tensor can come from."""

    key: str
    operation: Operation = "same"


# Canonical name to the places it may come from, the usual one first.
Table = Mapping[str, tuple[Source, ...]]


def canonical_shape(operation: Operation, stored: Shape) -> Shape:
    """Shape of the canonical tensor when the file's tensor has the shape `stored`."""
    if operation in _THIRDS:
        return (stored[0] // 3, *stored[1:]) if stored and stored[0] % 3 == 0 else stored
    if operation == "transposed":
        return stored[::-1]
    if operation == "squeezed" and len(stored) > 2 and set(stored[2:]) == {1}:
        return stored[:2]
    return stored


def stored_rows(operation: Operation, stored: Shape) -> slice | None:
    """The rows of the file's tensor that are needed; None for all of it."""
    if operation not in _THIRDS:
        return None
    rows = stored[0] // 3
    return slice(_THIRDS[operation] * rows, (_THIRDS[operation] + 1) * rows)


def to_canonical(operation: Operation, array: Array) -> Array:
    """The canonical tensor from the rows `stored_rows` asked for."""
    if operation == "transposed":
        return np.ascontiguousarray(array.T)
    if operation == "squeezed" and array.ndim > 2:
        return array.reshape(array.shape[:2])
    return array


def to_stored(parts: Mapping[Operation, Array]) -> Array:
    """The file's tensor from the canonical ones that share its key, by operation."""
    if len(parts) > 1:
        return np.concatenate([parts[third] for third in _thirds()])
    ((operation, array),) = parts.items()
    if operation == "transposed":
        return np.ascontiguousarray(array.T)
    return array[:, :, None, None] if operation == "squeezed" else array


def stored_shape(operation: Operation, canonical: Shape) -> Shape:
    """Shape of the file's tensor for a canonical shape; the inverse of `canonical_shape`."""
    if operation in _THIRDS:
        return (3 * canonical[0], *canonical[1:])
    if operation == "transposed":
        return canonical[::-1]
    return (*canonical, 1, 1) if operation == "squeezed" else canonical


def _thirds() -> tuple[Operation, ...]:
    return ("first third", "second third", "last third")
