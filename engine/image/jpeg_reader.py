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
        start, marker = file.tell(), read_exactly(file, 2, "JPEG")
        if marker[0] != 0xFF:
            raise damaged("JPEG", "a segment does not begin where it should")
        if marker[1] == 0xFF:  # any number of these may stand before a marker
            file.seek(start + 1)
            continue
        if marker[1] in (_SCAN, _END):
            break
        (length,) = struct.unpack(">H", read_exactly(file, 2, "JPEG"))
        if marker[1] in _FRAMES:
            height, width = struct.unpack_from(">xHH", read_exactly(file, 5, "JPEG"))
            return PictureFile("JPEG", width, height, parameters)
        if marker[1] == _APP1 and parameters is None and file.read(len(HEADER)) == HEADER:
            exif = read_exactly(file, max(length - 2 - len(HEADER), 0), "JPEG")
            parameters = read_user_comment(exif)
        file.seek(start + 2 + max(length, 2))
    raise damaged("JPEG", "nothing in it says its size")
