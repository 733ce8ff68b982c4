"""JPEG and WebP files, read back by Pillow, which is no part of the reader under test."""

import io
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sakuga.engine.errors import MetadataError, UsageError
from sakuga.engine.image.formats import FileFormat, encode, format_called, format_of_name
from sakuga.engine.image.jpeg import JpegOptions, encode_jpeg
from sakuga.engine.image.png import PngOptions
from sakuga.engine.image.webp import WebpOptions, encode_webp

TEXT = "1girl, 緑の髪, 👩‍👩‍👧‍👦\nNegative prompt: é\nSteps: 28, Sampler: Euler a"


def picture(height: int = 40, width: int = 24) -> NDArray[np.uint8]:
    ramp = np.linspace(0, 255, height * width * 3).reshape(height, width, 3)
    return ramp.astype(np.uint8)


def user_comment(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        comment = image.getexif().get_ifd(0x8769)[0x9286]
    assert isinstance(comment, bytes)
    return comment


def pixels_of(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("options", [JpegOptions(), WebpOptions(), WebpOptions(80)], ids=str)
@pytest.mark.parametrize("text", ["", "a", TEXT, "x" * 16_000])
def test_the_user_comment_is_what_civitai_reads(
    options: JpegOptions | WebpOptions, text: str
) -> None:
    data = encode(picture(), text, options)
    assert user_comment(data) == b"UNICODE\0" + text.encode("utf-16-be")
    assert data == encode(picture().copy(), text, options)


def test_webp_keeps_every_pixel_unless_told_otherwise() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (31, 17, 3), dtype=np.uint8)
    np.testing.assert_array_equal(pixels_of(encode_webp(noise, TEXT)), noise)
    assert not np.array_equal(pixels_of(encode_webp(noise, TEXT, WebpOptions(80))), noise)


def test_quality_is_followed() -> None:
    low, high = JpegOptions(20), JpegOptions(98)
    assert len(encode_jpeg(picture(), "", low)) < len(encode_jpeg(picture(), "", high))
    off = np.abs(pixels_of(encode_jpeg(picture(), "")).astype(int) - picture())
    assert off.max() < 12


def test_a_jpeg_keeps_the_colours_of_thin_lines() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[::2, :, 0] = 255
    assert np.abs(pixels_of(encode_jpeg(red, "")).astype(int) - red).max() < 24


@pytest.mark.parametrize("quality", [0, 101, -5])
def test_qualities_that_are_none(quality: int) -> None:
    for options in (JpegOptions, WebpOptions):
        with pytest.raises(UsageError, match="from 1 to 100"):
            options(quality)


def test_options_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        JpegOptions().quality = 3  # type: ignore[misc]


def test_settings_too_long_for_exif() -> None:
    longest = 32_728  # a segment has 65,533 bytes, 6 + 44 + 8 of which are not text
    assert user_comment(encode_jpeg(picture(), "緑" * longest))
    with pytest.raises(MetadataError, match="too long for a JPEG"):
        encode_jpeg(picture(), "緑" * 32_740)
    assert user_comment(encode_webp(picture(), "緑" * 100_000))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.png", FileFormat(".png", PngOptions())),
        ("a.b.JPG", FileFormat(".JPG", JpegOptions())),
        ("a.jpeg", FileFormat(".jpeg", JpegOptions())),
        ("a.webp", FileFormat(".webp", WebpOptions())),
    ],
)
def test_a_name_says_the_format(name: str, expected: FileFormat) -> None:
    assert format_of_name(Path(name)) == expected


def test_names_and_formats_that_are_none() -> None:
    for name in ("a", "a.gif", "a.avif", ".png"):
        with pytest.raises(UsageError, match=r"\.png, \.jpg, \.jpeg, \.webp"):
            format_of_name(Path(name))
    with pytest.raises(UsageError, match="png, jpeg, webp"):
        format_called("gif")
    with pytest.raises(UsageError, match="no quality"):
        format_called("png", 90)
    assert format_called("webp", 90) == FileFormat(".webp", WebpOptions(90))
    assert format_called("jpeg") == FileFormat(".jpg", JpegOptions())
