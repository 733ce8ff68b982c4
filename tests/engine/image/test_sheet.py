"""Contact sheets read back by Pillow."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sakuga.engine.image.sheet import CELL, MARGIN, MAX_THUMBNAILS, contact_sheet, thumbnail


def plain(width: int, height: int, colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    return np.full((height, width, 3), colour, dtype=np.uint8)


def read(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize(
    ("count", "columns", "rows"), [(0, 1, 1), (1, 1, 1), (2, 2, 1), (4, 2, 2), (12, 4, 3)]
)
def test_grid(count: int, columns: int, rows: int) -> None:
    sheet = read(contact_sheet([thumbnail(plain(64, 64, (9, 9, 9)), "x")] * count))
    assert sheet.width // (CELL + MARGIN) == columns
    assert sheet.height // (CELL + MARGIN) == rows


def test_pictures_stand_in_order_with_captions_under_them() -> None:
    red, blue = thumbnail(plain(832, 1216, (255, 0, 0)), "red"), (0, 0, 255)
    sheet = read(contact_sheet([red, thumbnail(plain(384, 160, blue), "blue")]))
    middle = MARGIN + CELL // 2
    assert sheet.getpixel((middle, middle)) == (255, 0, 0)
    assert sheet.getpixel((middle + CELL + MARGIN, middle)) == blue
    captions = np.asarray(sheet)[MARGIN + CELL + 1 : -MARGIN]
    for half in np.split(captions[:, : sheet.width // 2 * 2], 2, axis=1):
        assert half.max() > 200, "light letters on the dark sheet"


def test_long_captions_stay_under_their_picture() -> None:
    narrow = thumbnail(plain(64, 64, (9, 9, 9)), "souryuu asuka langley, " * 40)
    empty = thumbnail(plain(64, 64, (9, 9, 9)), "")
    captions = np.asarray(read(contact_sheet([narrow, empty])))[MARGIN + CELL + 1 :]
    assert captions[:, : CELL + MARGIN].max() > 200
    assert captions[:, CELL + MARGIN + 6 :].max() < 50


def test_thumbnail_keeps_the_shape() -> None:
    assert thumbnail(plain(1536, 640, (0, 0, 0)), "").image.size == (256, 107)
    assert thumbnail(plain(160, 128, (0, 0, 0)), "").image.size == (160, 128)


def test_hostile_captions() -> None:
    captions = ["\x00", "a\nb", "\ud83d", "東京 👩‍👩‍👧‍👦", " " * 5000, "x" * 100_000]
    contact_sheet([thumbnail(plain(8, 8, (0, 0, 0)), caption) for caption in captions])


def test_a_sheet_has_an_end() -> None:
    one = thumbnail(plain(8, 8, (0, 0, 0)), "")
    sheet = read(contact_sheet([one] * (MAX_THUMBNAILS + 1)))
    assert sheet.width // (CELL + MARGIN) == 20
