"""The header of a safetensors file, parsed strictly.

Stricter than the reference library on purpose: a file that two readers could see differently
(duplicate names, unknown fields, bytes that belong to no tensor) is refused.
"""

import json
import math
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sakuga.engine.errors import FileFormatError

MAX_HEADER = 16 * 2**20  # bytes; the header of an SDXL checkpoint has less than one MiB
MAX_TENSORS = 65_536
MAX_RANK = 8
MAX_TENSOR_BYTES = 2**62

ITEM_SIZES = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "U16": 2,
    "I16": 2,
    "F16": 2,
    "BF16": 2,
    "U32": 4,
    "I32": 4,
    "F32": 4,
    "U64": 8,
    "I64": 8,
    "F64": 8,
}

AGAIN = "Download the file again; if it is the original, re-save it with the safetensors library."


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a file: `start` and `end` count bytes from the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Header:
    """What a header says. `data_size` is the number of bytes the tensors cover."""

    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str]
    data_size: int


def parse_header(text: bytes, file: str) -> Header:
    """Parse the JSON of a header; `file` names the file in messages.

    Raises FileFormatError for anything the format does not allow.
    """
    entries = _decode(text, file)
    metadata = _metadata(entries.pop("__metadata__", {}), file)
    tensors = {name: _tensor(name, entry, file) for name, entry in entries.items()}
    return Header(MappingProxyType(tensors), metadata, _covered(tensors, file))


class _DuplicateError(Exception):
    pass


class _CrowdError(Exception):
    pass


def _decode(text: bytes, file: str) -> dict[str, object]:
    seen = 0

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal seen
        seen += 1
        if seen > MAX_TENSORS + 2:
            raise _CrowdError
        found = dict(pairs)
        if len(found) != len(pairs):
            ((name, _),) = Counter(name for name, _ in pairs).most_common(1)
            raise _DuplicateError(name)
        return found

    try:
        entries = json.loads(text.decode("utf-8"), object_pairs_hook=unique)
    except _DuplicateError as error:
        raise _bad(file, f"the name {str(error)!r} stands twice in the header") from None
    except _CrowdError:
        raise _bad(file, f"it lists more than {MAX_TENSORS} tensors") from None
    except UnicodeDecodeError as error:
        raise _bad(file, f"byte {error.start} of the header is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise _bad(file, f"the header is not valid JSON ({error})") from None
    assert isinstance(entries, dict), "the caller checked that the header starts with a brace"
    return entries


def _metadata(found: object, file: str) -> Mapping[str, str]:
    if not isinstance(found, dict):
        raise _bad(file, "its __metadata__ is not a table")
    for name, value in found.items():
        if not isinstance(value, str):
            raise _bad(file, f"the metadata {name!r} is not text")
    return MappingProxyType(found)


def _tensor(name: str, entry: object, file: str) -> TensorInfo:
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        raise _bad(file, f"the tensor name {name!r} has control characters")
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _bad(file, f"the entry of {name!r} must have dtype, shape, data_offsets and no more")
    dtype = entry["dtype"]
    if not isinstance(dtype, str) or dtype not in ITEM_SIZES:
        raise _bad(file, f"{name!r} has the unknown dtype {dtype!r}")
    shape = _numbers(entry["shape"], f"shape of {name!r}", file)
    if len(shape) > MAX_RANK:
        raise _bad(file, f"{name!r} has {len(shape)} dimensions, more than {MAX_RANK}")
    offsets = _numbers(entry["data_offsets"], f"data_offsets of {name!r}", file)
    if len(offsets) != 2 or offsets[0] > offsets[1]:
        raise _bad(file, f"the data_offsets of {name!r} are no range: {list(offsets)}")
    _check_size(name, dtype, shape, offsets, file)
    return TensorInfo(dtype, shape, *offsets)


def _numbers(found: object, what: str, file: str) -> tuple[int, ...]:
    # type() and not isinstance(): true and false are no lengths.
    if not isinstance(found, list) or any(type(n) is not int or n < 0 for n in found):
        raise _bad(file, f"the {what} must be a list of whole numbers from 0")
    return tuple(found)


def _check_size(
    name: str, dtype: str, shape: tuple[int, ...], offsets: tuple[int, ...], file: str
) -> None:
    # Zero counts as one here, so that [0, 2**62] cannot overflow an array library either.
    if math.prod(max(side, 1) for side in shape) * ITEM_SIZES[dtype] > MAX_TENSOR_BYTES:
        raise _bad(file, f"the shape {list(shape)} of {name!r} is too large")
    needed = math.prod(shape) * ITEM_SIZES[dtype]
    found = offsets[1] - offsets[0]
    if needed != found:
        what = f"{name!r} is {dtype} {list(shape)}, {needed} bytes, but has a range of {found}"
        raise _bad(file, what)


def _covered(tensors: Mapping[str, TensorInfo], file: str) -> int:
    end = 0
    for name, info in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].end)):
        if info.start > end:
            raise _bad(file, f"data bytes {end} to {info.start} belong to no tensor")
        if info.start < end:
            raise _bad(file, f"data bytes {info.start} to {end} belong to {name!r} and another")
        end = info.end
    return end


def _bad(file: str, what: str) -> FileFormatError:
    return FileFormatError(
        f"{file} is not a valid safetensors file: {what}.",
        note="Sakuga reads this format strictly, so that no two programs see different weights.",
        hint=AGAIN,
    )
