"""A safetensors file, opened lazily: the header at once, tensors one by one."""

import hashlib
import math
import os
import stat
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.errors import CheckpointError, FileFormatError
from sakuga.export.checkpoint.file_kinds import not_safetensors
from sakuga.export.checkpoint.safetensors_header import (
    AGAIN,
    ITEM_SIZES,
    MAX_HEADER,
    Header,
    TensorInfo,
    parse_header,
)
from sakuga.export.counted import counted

Array = NDArray[Any]

_DTYPES = {
    "BOOL": "?",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "F16": "<f2",
    "BF16": "<u2",  # the raw upper half of a float32
    "U32": "<u4",
    "I32": "<i4",
    "F32": "<f4",
    "U64": "<u8",
    "I64": "<i8",
    "F64": "<f8",
}


class SafetensorsFile:
    """One open file. Tensors are read, never mapped: a file that shrinks raises, not crashes.

    `tensors` tells dtype, shape and byte range by name, `metadata` the texts of the header.
    Raises CheckpointError where the file cannot be opened, FileFormatError where it is no strict
    safetensors file. Reading from several threads is safe.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _check_regular(path)
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            raise _unreadable(path, error) from None
        self._lock = threading.Lock()
        try:
            self._data_start, header = self._open_header()
        except BaseException:
            self._file.close()
            raise
        self.tensors: Mapping[str, TensorInfo] = header.tensors
        self.metadata: Mapping[str, str] = header.metadata

    def read(self, name: str, rows: slice | None = None) -> Array:
        """The tensor, or some of its rows (step 1), as a fresh array; bf16 comes as float32.

        Reads only the bytes asked for. Raises FileFormatError where the file has shrunk or the
        dtype is an 8-bit float.
        """
        info = self.tensors[name]
        if info.dtype not in _DTYPES:
            raise FileFormatError(
                f"{self.path} holds 8-bit floats ({info.dtype}), for instance {name}.",
                note="Their precision is lost already; a build from them could not be faithful.",
                hint="Use the fp16, bf16 or fp32 file of the same model.",
            )
        shape, start = _row_range(info, rows)
        array: Array = np.empty(shape, _DTYPES[info.dtype])
        self._fill(array, self._data_start + start, name)
        return _widened(array) if info.dtype == "BF16" else array

    def sha256(self) -> str:
        """SHA-256 of the whole file, in hex."""
        with self._lock:
            self._file.seek(0)
            return hashlib.file_digest(self._file, "sha256").hexdigest()

    def data_sha256(self) -> str:
        """SHA-256 of what follows the header, in hex: the same whatever the metadata say."""
        with self._lock:
            self._file.seek(self._data_start)
            return hashlib.file_digest(self._file, "sha256").hexdigest()

    def close(self) -> None:
        """Close the file; reading from it afterwards is an error."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _open_header(self) -> tuple[int, Header]:
        size = os.fstat(self._file.fileno()).st_size
        start = self._read_at(0, 512)
        length = int.from_bytes(start[:8], "little")
        if len(start) < 10 or start[8:9] != b"{":
            raise not_safetensors(start, str(self.path))
        if length > MAX_HEADER:
            raise FileFormatError(
                f"{self.path} is not a valid safetensors file: its header claims {length} bytes.",
                note=f"Sakuga reads headers of up to {MAX_HEADER} bytes.",
                hint=AGAIN,
            )
        if 8 + length > size:
            raise _truncated(self.path, 8 + length - size)
        header = parse_header(self._read_at(8, length), str(self.path))
        self._check_length(size, 8 + length + header.data_size)
        return 8 + length, header

    def _check_length(self, size: int, expected: int) -> None:
        if size < expected:
            raise _truncated(self.path, expected - size)
        if size > expected:
            raise FileFormatError(
                f"{self.path} is not a valid safetensors file: it ends with "
                f"{counted(size - expected, 'byte')} of no tensor.",
                note=f"The tensors end at byte {expected}, the file has {size} bytes.",
                hint=AGAIN,
            )

    def _fill(self, array: Array, offset: int, name: str) -> None:
        # reshape gives a view: the array is fresh and contiguous. Rank 0 and size 0 work too.
        view = array.reshape(-1).view(np.uint8).data
        with self._lock:
            self._file.seek(offset)
            while len(view) > 0:
                count = self._file.readinto(view)
                if not count:
                    raise _shrunk(self.path, name, len(view))
                view = view[count:]

    def _read_at(self, offset: int, count: int) -> bytes:
        with self._lock:
            self._file.seek(offset)
            pieces: list[bytes] = []
            while count > 0 and (piece := self._file.read(count)):
                pieces.append(piece)
                count -= len(piece)
        return b"".join(pieces)


def _check_regular(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise _unreadable(path, error) from None
    if not stat.S_ISREG(mode):
        raise CheckpointError(f"{path} is not a file.", hint="Give a .safetensors file.")


def _row_range(info: TensorInfo, rows: slice | None) -> tuple[tuple[int, ...], int]:
    if rows is None:
        return info.shape, info.start
    first, last, step = rows.indices(info.shape[0])
    assert step == 1, "rows are read as one piece"
    row_bytes = math.prod(info.shape[1:]) * ITEM_SIZES[info.dtype]
    return (max(last - first, 0), *info.shape[1:]), info.start + first * row_bytes


def _widened(raw: Array) -> Array:
    wide = raw.astype("<u4")
    wide <<= 16
    return wide.view("<f4")


def _unreadable(path: Path, error: OSError) -> CheckpointError:
    if isinstance(error, FileNotFoundError):
        return CheckpointError(f"There is no file {path}.", hint="Check the path.")
    return CheckpointError(f"{path} cannot be read: {error.strerror}.", hint="Check its rights.")


def _truncated(path: Path, missing: int) -> FileFormatError:
    return FileFormatError(
        f"{path} is cut off: it ends {counted(missing, 'byte')} too early.",
        note="The header lists more than the file holds; the download or copy did not finish.",
        hint="Download or copy the file again.",
    )


def _shrunk(path: Path, name: str, missing: int) -> FileFormatError:
    return FileFormatError(
        f"{path} became shorter while it was read: {counted(missing, 'byte')} of {name} lost.",
        hint="Wait until nothing writes to the file any more, then start again.",
    )
