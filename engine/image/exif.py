"""EXIF with one entry, the user comment, where JPEG and WebP carry A1111's text.

Source: Exif 3.0 (CIPA DC-008), chapters 4.6.2 and 4.6.6; TIFF 6.0, section 2.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from sakuga.engine.errors import MetadataError

HEADER = b"Exif\0\0"  # in front of the TIFF structure in a JPEG, and sometimes in a WebP
_UNICODE, _ASCII, _UNKNOWN = b"UNICODE\0", b"ASCII\0\0\0", bytes(8)
_EXIF_FOLDER, _USER_COMMENT = 0x8769, 0x9286
_LONG, _BYTES = 4, 7
_ENTRY = 12  # bytes of an entry: tag, type, count, and the value or where it lies


def user_comment(text: str) -> bytes:
    """A TIFF structure, big-endian, whose user comment is `text` in UTF-16, big-endian.

    That byte order is what Civitai reads and piexif writes.
    """
    comment = _UNICODE + text.encode("utf-16-be")
    folder, comment_at = 8 + 2 + _ENTRY + 4, 8 + 2 * (2 + _ENTRY + 4)
    return b"".join(
        (
            struct.pack(">2sHI", b"MM", 42, 8),
            struct.pack(">HHHIII", 1, _EXIF_FOLDER, _LONG, 1, folder, 0),
            struct.pack(">HHHIII", 1, _USER_COMMENT, _BYTES, len(comment), comment_at, 0),
            comment,
        )
    )


def read_user_comment(exif: bytes) -> str | None:
    """The user comment of a TIFF structure of either byte order, None where it has none.

    Raises MetadataError where offsets or counts lead outside, and where the text is no text.
    """
    data = exif.removeprefix(HEADER)
    try:
        order = {b"II*\0": "<", b"MM\0*": ">"}[data[:4]]
        (first,) = struct.unpack_from(f"{order}I", data, 4)
        folders = [each.value for each in _entries(data, first, order) if each.tag == _EXIF_FOLDER]
        comments = [
            each
            for folder in folders[:1]
            for each in _entries(data, folder, order)
            if each.tag == _USER_COMMENT and each.count >= len(_UNKNOWN)
        ]
    except (KeyError, struct.error) as error:
        raise _damaged("its folders lead outside the data") from error
    return _text(data, comments[0]) if comments else None


@dataclass(frozen=True)
class _Entry:
    tag: int
    kind: int
    count: int
    value: int


def _entries(data: bytes, at: int, order: str) -> Iterator[_Entry]:
    (count,) = struct.unpack_from(f"{order}H", data, at)
    for index in range(count):
        yield _Entry(*struct.unpack_from(f"{order}HHII", data, at + 2 + _ENTRY * index))


def _text(data: bytes, entry: _Entry) -> str:
    comment = data[entry.value : entry.value + entry.count]
    if entry.kind != _BYTES or len(comment) < entry.count:
        raise _damaged("its user comment leads outside the data")
    code, text = comment[:8], comment[8:]
    try:
        if code == _UNICODE:
            return _utf16(text)
        if code in (_ASCII, _UNKNOWN):
            return text.decode("utf-8").rstrip("\0")
    except UnicodeDecodeError as error:
        raise _damaged(f"its user comment is no text: {error.reason}") from error
    raise _damaged(f"its user comment is written in {code!r}")


def _utf16(text: bytes) -> str:
    """Big-endian as it should be, or little-endian as some tools write it: whichever reads."""
    for order in ("utf-16-be", "utf-16-le"):
        if "Steps: " in text.decode(order, "replace"):
            return text.decode(order)
    return text.decode("utf-16-be")


def _damaged(what: str) -> MetadataError:
    return MetadataError(
        "The EXIF data of this picture is damaged.",
        note=f"{what[0].upper()}{what[1:]}.",
        hint="Find another copy of the picture; programs that edit pictures often lose this.",
    )
