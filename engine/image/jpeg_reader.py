"""The EXIF data of a JPEG, without its pixels.

Source: ITU-T T.81, annex B.
"""

import struct
from io import BufferedReader

from sakuga.engine.image.exif import HEADER, read_user_comment
from sakuga.engine.image.picture_file import MAX_PARTS, PictureFile, damaged, read_exactly

SIGNATURE = b"\xff\xd8"
_APP1, _SCAN, _END = 0xE1, 0xDA, 0xD9
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # the markers that say the size


def read_jpeg(file: BufferedReader) -> PictureFile:
    """Size and text of a JPEG whose signature has been read. Raises MetadataError if damaged."""
    parameters = None
    for _ in range(MAX_PARTS):
        marker = _marker(file)
        if marker in (_SCAN, _END):
            break
        (length,) = struct.unpack(">H", read_exactly(file, 2, "JPEG"))
        start = file.tell()
        if marker == _APP1 and parameters is None and file.peek(len(HEADER)).startswith(HEADER):
            parameters = read_user_comment(read_exactly(file, max(length - 2, 0), "JPEG"))
        elif marker in _FRAMES:
            height, width = struct.unpack_from(">xHH", read_exactly(file, 5, "JPEG"))
            return PictureFile("JPEG", width, height, parameters)
        file.seek(start + max(length - 2, 0))
    raise damaged("JPEG", "nothing in it says its size")


def _marker(file: BufferedReader) -> int:
    if read_exactly(file, 1, "JPEG") != b"\xff":
        raise damaged("JPEG", "a segment does not begin where it should")
    for _ in range(MAX_PARTS):  # any number of fill bytes may stand before a marker
        if (code := read_exactly(file, 1, "JPEG")[0]) != 0xFF:
            return code
    raise damaged("JPEG", "it is full of fill bytes")
