"""The EXIF data of a WebP, without its pixels.

Source: WebP Container Specification (RFC 9649), section 2.
"""

import struct
from io import BufferedReader

from sakuga.engine.image.exif import read_user_comment
from sakuga.engine.image.picture_file import (
    MAX_BYTES,
    MAX_PARTS,
    PictureFile,
    damaged,
    read_exactly,
)

SIGNATURE = b"RIFF"
_CANVAS = b"VP8X"


def read_webp(file: BufferedReader) -> PictureFile:
    """Size and text of a WebP whose "RIFF" has been read. Raises MetadataError if damaged."""
    (total,) = struct.unpack("<I", read_exactly(file, 4, "WebP"))
    if read_exactly(file, 4, "WebP") != b"WEBP":
        raise damaged("WebP", "it is another kind of RIFF file")
    size, place, end = None, 12, 8 + total
    for _ in range(MAX_PARTS):
        if place + 8 > end:
            break
        file.seek(place)
        kind, length = struct.unpack("<4sI", read_exactly(file, 8, "WebP"))
        if size is None:
            size = _size(kind, file)
        elif kind == b"EXIF":
            if length > MAX_BYTES:
                raise damaged("WebP", f"its EXIF data of {length:,} bytes is too long to be true")
            return PictureFile("WebP", *size, read_user_comment(read_exactly(file, length, "WebP")))
        place += 8 + length + length % 2
    if size is None:
        raise damaged("WebP", "nothing in it says its size")
    return PictureFile("WebP", *size, None)


def _size(kind: bytes, file: BufferedReader) -> tuple[int, int]:
    head = read_exactly(file, 10, "WebP")
    if kind == _CANVAS:
        width, height = int.from_bytes(head[4:7], "little"), int.from_bytes(head[7:10], "little")
        return width + 1, height + 1
    if kind == b"VP8L":
        bits = int.from_bytes(head[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", head, 6)
        return width & 0x3FFF, height & 0x3FFF
    raise damaged("WebP", "nothing in it says its size")
