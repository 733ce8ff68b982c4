"""PNG files read back by Pillow."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from sakuga.engine.image.png import encode_png


def picture(height: int = 40, width: int = 24) -> NDArray[np.uint8]:
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (height, width, 3), dtype=np.uint8)


def read_text(data: bytes) -> str:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        text = image.info["parameters"]
    assert isinstance(text, str)
    return text


def test_pixels_come_back() -> None:
    with Image.open(io.BytesIO(encode_png(picture(), ""))) as image:
        assert (image.mode, image.size) == ("RGB", (24, 40))
        np.testing.assert_array_equal(np.asarray(image), picture())


@pytest.mark.parametrize(
    ("text", "chunk"),
    [
        ("1girl, café\nNegative prompt: x\nSteps: 28", b"tEXt"),
        ("緑の髪, セーター, 👩‍👩‍👧‍👦\nSteps: 28", b"iTXt"),
        ("x" * 32_768, b"tEXt"),
    ],
)
def test_text_comes_back(text: str, chunk: bytes) -> None:
    data = encode_png(picture(), text)
    assert read_text(data) == text
    assert chunk + b"parameters\0" in data


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back(text: str) -> None:
    assert read_text(encode_png(picture(2, 2), text)) == text


def test_same_bytes_every_time() -> None:
    assert encode_png(picture(), "東京") == encode_png(picture().copy(), "東京")


@given(st.integers(1, 9), st.integers(1, 9), st.binary(min_size=243, max_size=243))
def test_any_pixels_come_back(height: int, width: int, values: bytes) -> None:
    pixels = np.frombuffer(values, np.uint8)[: height * width * 3].reshape(height, width, 3)
    with Image.open(io.BytesIO(encode_png(pixels, ""))) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_flat_pictures_and_both_kinds_of_gradients_stay_small() -> None:
    """A line is told by its difference from the one above it, or from what stands to the left."""
    across = np.broadcast_to(np.arange(256, dtype=np.uint8)[None, :, None], (256, 256, 3))
    turning = np.where(np.arange(256)[:, None, None] % 2 == 0, across, 255 - across)
    for pixels in (np.full_like(across, 7), across, across.transpose(1, 0, 2), turning):
        assert len(encode_png(np.ascontiguousarray(pixels), "")) < 4000


def test_view_of_a_larger_array() -> None:
    view = picture(40, 48)[:, ::2]
    with Image.open(io.BytesIO(encode_png(view, ""))) as image:
        np.testing.assert_array_equal(np.asarray(image), view)
