"""The text chunks of a PNG, without its pixels.

Source: Portable Network Graphics (W3C, third edition), sections 5, 11.2.1 and 11.3.3.
"""

import struct
import zlib
from collections.abc import Iterator
from io import BufferedReader

from sakuga.engine.errors import MetadataError
from sakuga.engine.image.picture_file import MAX_BYTES, PictureFile, damaged, read_exactly

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_LONGEST_KEYWORD = 79
_MAX_CHUNKS = 100_000  # pixels come in chunks of a few kilobytes from some programs


def read_png(file: BufferedReader) -> PictureFile:
    """Size and texts of a PNG whose signature has been read; reads on until A1111's text is found.

    Raises MetadataError for a damaged or cut file, and for a text of more than MAX_BYTES.
    """
    size: tuple[int, int] | None = None
    workflow = False
    for kind, length in _chunks(file):
        if size is None:
            if (kind, length) != (b"IHDR", 13):
                raise damaged("PNG", "it does not begin with its header")
            width, height = struct.unpack_from(">II", _data(file, kind, length))
            size = width, height
        elif kind in _TEXTS:
            start = file.tell()
            keyword = file.read(min(length, _LONGEST_KEYWORD + 1)).partition(b"\0")[0]
            if keyword == b"parameters":
                file.seek(start)
                return PictureFile("PNG", *size, _text(kind, _data(file, kind, length)), workflow)
            workflow |= keyword in (b"prompt", b"workflow")
    if size is None:
        raise damaged("PNG", "it has no header")
    return PictureFile("PNG", *size, None, workflow)


def _chunks(file: BufferedReader) -> Iterator[tuple[bytes, int]]:
    """Kind and length of each chunk, the file standing at its data, up to the end chunk."""
    place = file.tell()
    for _ in range(_MAX_CHUNKS):
        file.seek(place)
        length, kind = struct.unpack(">I4s", read_exactly(file, 8, "PNG"))
        if length >= 2**31 or not kind.isalpha():
            raise damaged("PNG", f"a chunk at byte {place:,} has an impossible header")
        if kind == b"IEND":
            return
        yield kind, length
        place += 12 + length
    raise damaged("PNG", f"it has more than {_MAX_CHUNKS:,} chunks")


def _data(file: BufferedReader, kind: bytes, length: int) -> bytes:
    if length > MAX_BYTES:
        raise _too_long()
    data = read_exactly(file, length, "PNG")
    (expected,) = struct.unpack(">I", read_exactly(file, 4, "PNG"))
    if zlib.crc32(kind + data) != expected:
        raise damaged("PNG", f"a {kind.decode()} chunk does not have the checksum it says")
    return data


def _text(kind: bytes, data: bytes) -> str:
    _, _, rest = data.partition(b"\0")
    try:
        if kind == b"tEXt":
            return rest.decode("latin-1")
        if kind == b"zTXt":
            return _inflated(rest[1:]).decode("latin-1")
        compressed = rest[:1] == b"\1"
        _, _, text = rest[2:].split(b"\0", 2)  # the language, and the keyword in it
        return (_inflated(text) if compressed else text).decode("utf-8")
    except (ValueError, zlib.error) as error:
        raise damaged("PNG", f"the text in it cannot be read ({error})") from error


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    text = inflater.decompress(data, MAX_BYTES)
    if inflater.unconsumed_tail:
        raise _too_long()
    if not inflater.eof:
        raise ValueError("its compressed data is cut")
    return text


def _too_long() -> MetadataError:
    return MetadataError(
        "The settings in this picture are too long to be settings.",
        note=f"At most {MAX_BYTES:,} bytes are read.",
    )
