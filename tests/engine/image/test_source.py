"""Pictures that come in: every kind is read as Pillow shows it, every bad one is told."""

import hashlib
import io
import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from sakuga.engine.errors import PictureFileError, UsageError
from sakuga.engine.image.source import Source
from sakuga.profiles.buckets import Size

NOISE = np.random.default_rng(0).integers(0, 256, (12, 17, 4), np.uint8)
RGB = Image.fromarray(NOISE[..., :3])
RGBA = Image.fromarray(NOISE)
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")


def file_of(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header lies about its size."""
    data = bytearray(file_of(Image.new("L", (1, 1))))
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_is_what_pillow_shows(format: str, tmp_path: Path) -> None:
    data = file_of(RGB, format)
    path = tmp_path / "picture"  # what it is stands in it, not in its name
    path.write_bytes(data)
    for source in (Source.of(data), Source.of(path), Source.of(str(path))):
        shown = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        np.testing.assert_array_equal(source.read(), shown)
        assert source.size == Size(17, 12)
        assert source.digest == hashlib.sha256(data).hexdigest()
        assert source.notes == ()
        assert pickle.loads(pickle.dumps(source)) == source


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(9))
def test_a_turned_picture_is_shown_upright(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = file_of(RGB, format, exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    source = Source.of(data)
    np.testing.assert_array_equal(source.read(), np.asarray(upright))
    assert source.size == Size(*upright.size)
    np.testing.assert_array_equal(Source.of(Image.open(io.BytesIO(data))).read(), source.read())


def test_spoilt_exif_data_turns_nothing() -> None:
    data = file_of(RGB, "PNG", exif=b"Exif\0\0not a TIFF header")
    np.testing.assert_array_equal(Source.of(data).read(), np.asarray(RGB))


def test_transparency_lies_on_white() -> None:
    alpha = NOISE[..., 3:] / 255
    expected = NOISE[..., :3] * alpha + 255 * (1 - alpha)
    for source in (Source.of(NOISE), Source.of(RGBA), Source.of(file_of(RGBA))):
        assert np.abs(source.read() - expected).max() <= 1


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_a_transparent_colour_of_a_palette_is_white(format: str) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    source = Source.of(file_of(image, format, transparency=1))
    np.testing.assert_array_equal(source.read(), [[[255, 0, 0], [255, 255, 255]]])


def test_sixteen_bits_are_scaled() -> None:
    deep = np.array([[0, 128, 129, 257, 32768, 65279, 65535]], np.uint16)
    source = Source.of(file_of(Image.fromarray(deep)))
    assert source.read()[0, :, 0].tolist() == [0, 0, 1, 1, 128, 254, 255]
    clear = Source.of(file_of(Image.fromarray(deep), transparency=257))
    assert clear.read()[0, :, 0].tolist() == [0, 0, 1, 255, 128, 254, 255]
    assert clear.read_mask()[0].tolist() == [255, 255, 255, 0, 255, 255, 255]


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "HSV"])
def test_other_pixels_are_converted_as_pillow_does(mode: str) -> None:
    image = RGB.convert(mode)
    np.testing.assert_array_equal(Source.of(image).read(), np.asarray(image.convert("RGB")))


def test_cmyk_in_a_file() -> None:
    data = file_of(RGB.convert("CMYK"), "JPEG")
    shown = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(Source.of(data).read(), shown)


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_several_frames_the_first_is_used_and_told(format: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    options: dict[str, object] = {"lossless": True} if format == "WEBP" else {}
    data = file_of(frames[0], format, save_all=True, append_images=frames[1:], **options)
    source = Source.of(data)
    assert (source.read() == [255, 0, 0]).all()
    assert source.notes == ("This picture has several frames; the first is used.",)


def test_pixels_are_kept_as_they_were() -> None:
    pixels = NOISE[..., :3].copy()
    source = Source.of(pixels)
    pixels[:] = 0
    np.testing.assert_array_equal(source.read(), NOISE[..., :3])
    assert source.size == Size(17, 12)
    assert source.notes == ()
    assert source == Source.of(NOISE[..., :3]) and hash(source) == hash(Source.of(RGB))
    assert pickle.loads(pickle.dumps(source)) == source
    assert source.digest != Source.of(NOISE[..., :3].reshape(17, 12, 3)).digest
    np.testing.assert_array_equal(Source.of(NOISE[..., 0]).read()[..., 2], NOISE[..., 0])
    assert repr(source) == "Source(This picture)"
    assert repr(Source.of("a.png")) == "Source(a.png)"


# What A1111's create_binary_mask makes of a mask.
def test_a_mask_is_the_luminance() -> None:
    np.testing.assert_array_equal(Source.of(RGB).read_mask(), np.asarray(RGB.convert("L")))
    opaque = RGB.convert("RGBA")
    np.testing.assert_array_equal(Source.of(opaque).read_mask(), np.asarray(RGB.convert("L")))
    np.testing.assert_array_equal(Source.of(NOISE[..., 0]).read_mask(), NOISE[..., 0])


def test_a_drawn_mask_is_the_alpha() -> None:
    drawn = np.zeros((1, 4, 4), np.uint8)
    drawn[0, :, 3] = [0, 128, 129, 255]
    source = Source.of(file_of(Image.fromarray(drawn)))
    assert source.read_mask().tolist() == [[0, 0, 255, 255]]
    assert source.read_mask(threshold=None).tolist() == [[0, 128, 129, 255]]


def test_a_large_picture_is_refused_before_it_is_decoded() -> None:
    for size in [(1 << 13, (1 << 13) + 1), (9500, 9500), (1 << 15, 1 << 15)]:  # Pillow warns; fails
        source = Source.of(png_of_size(*size))
        for read in (source.read, source.read_mask, lambda source=source: source.size):
            with pytest.raises(PictureFileError, match="too large"):
                read()
    with pytest.raises(PictureFileError, match="17x12"):
        Source.of(RGB).read(max_pixels=200)
    assert Source.of(RGB).read(max_pixels=204).shape == (12, 17, 3)


def test_what_is_no_picture_is_told(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no picture")
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    ppm = file_of(RGB, "PPM")  # Pillow reads it, and nobody asked for it
    for source in (Source.of(text), Source.of(b""), Source.of(svg), Source.of(ppm)):
        with pytest.raises(PictureFileError, match="no picture") as raised:
            source.read()
        assert "PNG" in raised.value.note
    with pytest.raises(PictureFileError, match="cannot be read") as raised:
        Source.of(tmp_path / "absent.png").read()
    assert raised.value.note == "No such file or directory."
    for source in (Source.of(tmp_path / "absent.png"), Source.of(tmp_path)):
        with pytest.raises(PictureFileError, match="cannot be read"):
            _ = source.digest
        with pytest.raises(PictureFileError, match="cannot be read"):
            _ = source.size


@pytest.mark.parametrize("kind", ["I", "F"])
def test_pixels_without_a_range_are_refused(kind: str) -> None:
    image = RGB.convert("L").convert(kind)
    with pytest.raises(PictureFileError, match="not read") as raised:
        Source.of(image)
    assert raised.value.note == f"Pillow calls them {kind}."
    with pytest.raises(PictureFileError, match="not read"):
        Source.of(file_of(image, "TIFF")).read()


@pytest.mark.parametrize("format", FORMATS)
def test_a_cut_file_is_told(format: str) -> None:
    data = file_of(RGB, format)
    for end in range(4, len(data) - 24, 7):
        with pytest.raises(PictureFileError):
            Source.of(data[:end]).read()


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(FORMATS), st.data())
def test_a_damaged_file_is_read_or_told(format: str, draw: st.DataObject) -> None:
    data = bytearray(file_of(RGB.convert("P") if format == "PNG" else RGB, format))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    source = Source.of(bytes(data))
    try:
        size = source.size
        assert source.read(max_pixels=1 << 20).shape == (size.height, size.width, 3)
    except PictureFileError as error:
        assert error.note


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4), bool),
        np.zeros((4, 4, 3), np.uint16),
        np.zeros((3, 4, 5), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
    ],
)
def test_other_arrays_are_refused(array: np.ndarray) -> None:
    with pytest.raises(UsageError, match="array") as raised:
        Source.of(array)
    assert raised.value.note and raised.value.hint


def test_other_things_are_refused() -> None:
    with pytest.raises(UsageError, match="int is no picture"):
        Source.of(7)  # type: ignore[arg-type]
    with pytest.raises(PictureFileError, match="no pixels"):
        Source.of(Image.new("RGB", (0, 4)))
