"""Files of torch.save: a pickle, and the numbers of its tensors beside it.

Both forms are read: the zip archive of today, and the stream that torch wrote before 1.6.
"""

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.text.torch_pickle import EMBEDDING_STEPS, read_pickle
from sakuga.engine.text.torch_values import PickleError, Storage, Tensor

_MAGIC = 0x1950A86A20F9469CFC6C  # torch's own, at the beginning of a stream
_STREAM_VERSION = 1001
_PROGRAM = "data.pkl"
_FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_WHOLE = {"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?"}

ReadStorage = Callable[[Storage], bytes]


@dataclass(frozen=True)
class Limits:
    """How much is read of a file: steps of its pickle, numbers of one tensor."""

    steps: int
    numbers: int


EMBEDDING = Limits(EMBEDDING_STEPS, 1 << 20)


class TorchFile:
    """What a file holds: `value`, in which tensors are descriptions that `numbers` reads."""

    def __init__(self, value: object, storage: ReadStorage, most_numbers: int) -> None:
        self.value = value
        self._storage = storage
        self._most_numbers = most_numbers

    def numbers(self, tensor: Tensor) -> NDArray[np.float32]:
        """A tensor of floats, of any width and with any strides. Raises PickleError for others and
        for one that reaches beyond its storage."""
        if tensor.storage.kind.dtype not in _FLOATS:
            raise PickleError("its numbers are no floats")
        with np.errstate(over="ignore"):  # the caller asks for finite numbers
            return self.values(tensor).astype(np.float32, copy=False)

    def values(self, tensor: Tensor) -> NDArray[Any]:
        """A tensor of any numbers, as they are; bfloat16 comes as float32. Raises PickleError for
        one that reaches beyond its storage."""
        kind = tensor.storage.kind
        _check_extent(tensor, self._most_numbers)
        data = self._storage(tensor.storage)
        if len(data) != tensor.storage.count * kind.item_bytes:
            raise PickleError("its numbers are not as many as it says")
        raw = np.frombuffer(data, (_FLOATS | _WHOLE)[kind.dtype])
        strides = [
            stride * raw.itemsize if size > 1 else 0
            for size, stride in zip(tensor.shape, tensor.strides, strict=True)
        ]
        view = np.lib.stride_tricks.as_strided(raw[tensor.offset :], tensor.shape, strides)
        if kind.dtype == "BF16":  # the upper half of a float32
            return (view.astype("<u4") << 16).view("<f4")
        return view.copy()


def read_torch(data: bytes, limits: Limits = EMBEDDING) -> TorchFile:
    """What torch.save wrote. Raises PickleError for anything else."""
    if data[:4] == b"PK\x03\x04":
        return _archive(data, limits)
    return _stream(data, limits)


def _check_extent(tensor: Tensor, most_numbers: int) -> None:
    shape, strides = tensor.shape, tensor.strides
    known = len(shape) == len(strides) <= 4 and min((*shape, *strides, tensor.offset)) >= 0
    if not known or not 0 < prod(shape) <= most_numbers:
        raise PickleError("it holds a tensor of an impossible shape")
    reach = sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if tensor.offset + reach >= tensor.storage.count:
        raise PickleError("it holds a tensor that reaches beyond its numbers")


def _archive(data: bytes, limits: Limits) -> TorchFile:
    try:
        archive = zipfile.ZipFile(BytesIO(data))
        members = _members(archive)
    except (zipfile.BadZipFile, ValueError, OSError, RuntimeError, LookupError) as error:
        raise PickleError("it is a damaged archive") from error
    programs = [name for name in members if name.partition("/")[2] == _PROGRAM]
    if len(programs) != 1:
        raise PickleError("it is an archive that torch did not write")
    folder = programs[0].removesuffix(_PROGRAM)
    if f"{folder}byteorder" in members and _member(archive, f"{folder}byteorder") != b"little":
        raise PickleError("its numbers are in the order of another kind of processor")
    value = read_pickle(_member(archive, programs[0]), most_steps=limits.steps).value

    def numbers(storage: Storage) -> bytes:
        return _member(archive, f"{folder}data/{storage.key}")

    return TorchFile(value, numbers, limits.numbers)


def _members(archive: zipfile.ZipFile) -> Mapping[str, zipfile.ZipInfo]:
    """By name. torch compresses nothing, so what is read is no larger than the file."""
    members = {info.filename: info for info in archive.infolist()}
    plain = all(
        info.compress_type == zipfile.ZIP_STORED
        and info.file_size == info.compress_size
        and not info.flag_bits & 1
        for info in members.values()
    )
    if not plain or len(members) < len(archive.infolist()):
        raise PickleError("it is an archive that torch did not write")
    return members


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except KeyError:
        raise PickleError("its numbers are missing") from None
    except (zipfile.BadZipFile, EOFError, ValueError, OSError, RuntimeError) as error:
        raise PickleError("it is a damaged archive") from error


def _stream(data: bytes, limits: Limits) -> TorchFile:
    """Pickles of a magic number, a version, the machine's facts, the value, and the storages' keys;
    then of each storage how many numbers it has, and the numbers."""
    magic = read_pickle(data)
    if magic.value != _MAGIC:
        raise PickleError("it is a pickle that torch did not write")
    version = read_pickle(data, magic.end)
    facts = read_pickle(data, version.end)
    if version.value != _STREAM_VERSION or not isinstance(facts.value, dict):
        raise PickleError("it is a pickle that torch did not write")
    if facts.value.get("little_endian") is not True:
        raise PickleError("its numbers are in the order of another kind of processor")
    held = read_pickle(data, facts.end, limits.steps)
    keys = read_pickle(data, held.end, limits.steps)
    places: dict[str, int] = {}
    at = keys.end
    for key in keys.value if isinstance(keys.value, list) else ():
        if type(key) is not str or key not in held.storages:
            raise PickleError("it holds numbers of nothing")
        places[key] = at + 8
        at += 8 + held.storages[key].count * held.storages[key].kind.item_bytes
    return TorchFile(held.value, lambda storage: _piece(data, places, storage), limits.numbers)


def _piece(data: bytes, places: Mapping[str, int], storage: Storage) -> bytes:
    start = places.get(storage.key)
    if start is None or int.from_bytes(data[start - 8 : start], "little") != storage.count:
        raise PickleError("its numbers are missing")
    return data[start : start + storage.count * storage.kind.item_bytes]
