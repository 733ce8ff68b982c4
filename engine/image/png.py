"""Pixels to PNG files, with NumPy and zlib.

Source: Portable Network Graphics (W3C, third edition), sections 5, 9, 10 and 11.
"""

import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB = 2  # the colour type
_SUB, _UP = 1, 2  # filters: what the pixel to the left takes away, and the one above
_MOST_WORK_AREA = 9


@dataclass(frozen=True)
class PngOptions:
    """Nothing is left to choose: every pixel is kept, and the fastest way is nearly the best."""


def encode_png(pixels: NDArray[np.uint8], parameters: str) -> bytes:
    """uint8 [height, width, 3] to the bytes of a PNG, the same bytes every time.

    `parameters` becomes the text chunk of that name: tEXt where the text is Latin-1, else iTXt.
    """
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
    height, width, _ = pixels.shape
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, _RGB, 0, 0, 0)),
        _text(parameters),
        (b"IDAT", _deflated(_filtered(pixels))),
        (b"IEND", b""),
    )
    return b"".join((_SIGNATURE, *(_chunk(kind, data) for kind, data in chunks)))


def _filtered(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[height, 1 + 3 · width]: each line as what it differs by from the one above it or from the
    pixels to the left, whichever is less; and in front of it which one that is.

    libpng weighs five filters against each other, and the other three hardly make files smaller.
    """
    lines = pixels.reshape(len(pixels), -1)
    left = np.empty_like(lines)
    left[:, :3] = lines[:, :3]
    np.subtract(lines[:, 3:], lines[:, :-3], out=left[:, 3:])
    result = np.empty((lines.shape[0], lines.shape[1] + 1), np.uint8)
    result[:, 0] = _UP
    above = result[:, 1:]
    above[0] = lines[0]
    np.subtract(lines[1:], lines[:-1], out=above[1:])
    chosen = _weights(left) < _weights(above)
    result[chosen, 0] = _SUB
    result[chosen, 1:] = left[chosen]
    return result


def _weights(differences: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """How far each line is from all zeros, as libpng reckons: bytes are taken as signed."""
    sizes = np.abs(differences.view(np.int8)).view(np.uint8)  # of -128 the byte is right again
    total: NDArray[np.uint32] = sizes.sum(1, dtype=np.uint32)
    return total


def _deflated(lines: NDArray[np.uint8]) -> bytes:
    """Runs of a byte and Huffman codes, the same at every level of zlib: the noise of a rendered
    picture leaves deflate little more to find, so its search is lost time."""
    deflate = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, _MOST_WORK_AREA, zlib.Z_RLE)
    return deflate.compress(lines.data) + deflate.flush()


def _text(parameters: str) -> tuple[bytes, bytes]:
    try:
        return b"tEXt", b"parameters\0" + parameters.encode("latin-1")
    except UnicodeEncodeError:  # not compressed, no language
        return b"iTXt", b"parameters\0\0\0\0\0" + parameters.encode()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return b"".join(
        (
            struct.pack(">I", len(data)),
            kind,
            data,
            struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))),
        )
    )
