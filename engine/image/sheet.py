"""Contact sheets: many pictures at a glance."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

CELL = 256  # pixels: the longer side of a thumbnail
MARGIN = 12
FONT_SIZE = 16
CAPTION_HEIGHT = 28
MAX_THUMBNAILS = 400
_PAPER, _INK, _ABSENT = (24, 24, 27), (228, 228, 231), (63, 63, 70)

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """A small copy of a picture and the caption under it."""

    image: Image.Image
    caption: str


def thumbnail(pixels: NDArray[np.uint8], caption: str) -> Thumbnail:
    """uint8 [height, width, 3], shrunk where its longer side is beyond 256 pixels."""
    image = Image.fromarray(pixels)
    image.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
    return Thumbnail(image, caption)


def file_thumbnail(path: Path, caption: str) -> Thumbnail:
    """A small copy of the picture in a file; a grey one where there is no picture any more."""
    try:
        with Image.open(path, formats=("PNG", "JPEG", "WEBP")) as image:
            image.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
            return Thumbnail(image.convert("RGB"), caption)
    except (OSError, ValueError):
        return Thumbnail(Image.new("RGB", (CELL, CELL), _ABSENT), caption)


def contact_sheet(thumbnails: Sequence[Thumbnail]) -> bytes:
    """The bytes of a PNG with all thumbnails in a grid, in order, captions under them.

    A sheet shows at most 400; of more, the first 400.
    """
    shown = thumbnails[:MAX_THUMBNAILS]
    columns = max(1, math.ceil(math.sqrt(len(shown))))
    rows = math.ceil(len(shown) / columns)
    across, down = CELL + MARGIN, CELL + CAPTION_HEIGHT + MARGIN
    sheet = Image.new("RGB", (columns * across + MARGIN, max(1, rows) * down + MARGIN), _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(FONT_SIZE)
    for index, one in enumerate(shown):
        row, column = divmod(index, columns)
        _place(sheet, draw, font, one, MARGIN + column * across, MARGIN + row * down)
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue()


def _place(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, font: Font, one: Thumbnail, x: int, y: int
) -> None:
    width, height = one.image.size
    sheet.paste(one.image, (x + (CELL - width) // 2, y + (CELL - height) // 2))
    middle = (x + CELL // 2, y + CELL + CAPTION_HEIGHT // 2)
    draw.text(middle, _fit(one.caption, draw, font), _INK, font, anchor="mm")


def _fit(caption: str, draw: ImageDraw.ImageDraw, font: Font) -> str:
    line = " ".join(caption.split())[:CELL]
    if draw.textlength(line, font) <= CELL:
        return line
    while line and draw.textlength(line + "…", font) > CELL:
        line = line[:-1]
    return line + "…"
