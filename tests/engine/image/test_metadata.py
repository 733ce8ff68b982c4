"""Picture files read: what Sakuga writes comes back, and hostile files are refused in no time."""

import io
import json
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from sakuga.engine.errors import MetadataError
from sakuga.engine.image.exif import HEADER, read_user_comment, user_comment
from sakuga.engine.image.formats import Options, encode
from sakuga.engine.image.infotext import Infotext, write_infotext
from sakuga.engine.image.jpeg import JpegOptions
from sakuga.engine.image.metadata import read_infotext, read_metadata
from sakuga.engine.image.picture_file import MAX_BYTES, PictureFile
from sakuga.engine.image.png import PngOptions
from sakuga.engine.image.webp import WebpOptions
from sakuga.profiles.buckets import Size

PIXELS = np.arange(6 * 4 * 3, dtype=np.uint8).reshape(6, 4, 3)
OPTIONS: list[Options] = [PngOptions(), JpegOptions(), WebpOptions(), WebpOptions(80)]
INFO = Infotext(prompt="緑", steps=1, sampler="Euler", guidance=7, seed=3, size=Size(832, 1216))
TEXT = write_infotext(INFO)
PNG = encode(PIXELS, TEXT, PngOptions())
JPEG = encode(PIXELS, TEXT, JpegOptions())
WEBP = encode(PIXELS, TEXT, WebpOptions())


@pytest.fixture(scope="module")
def spot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file to write again and again."""
    return tmp_path_factory.mktemp("pictures") / "picture"


def read(spot: Path, data: bytes) -> PictureFile:
    spot.write_bytes(data)
    return read_metadata(spot)


def refusal(spot: Path, data: bytes) -> str:
    """The error of a file that is refused within a second of computing and a few megabytes."""
    spot.write_bytes(data)
    before = time.process_time()
    with pytest.raises(MetadataError) as caught:
        read_metadata(spot)
    assert time.process_time() - before < 1
    tracemalloc.start()
    with pytest.raises(MetadataError):
        read_metadata(spot)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    assert caught.value.note and str(spot) in caught.value.what
    return str(caught.value)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
PROMPTS = TEXTS | st.lists(
    st.sampled_from(["Negative prompt:", "Steps: 3, Seed: 1, Size: 8x8", "\n", '"', "\\", " "])
).map("".join)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@given(prompt=PROMPTS, negative=PROMPTS)
@settings(deadline=None)  # it writes files
def test_any_prompts_come_back(spot: Path, options: Options, prompt: str, negative: str) -> None:
    info = Infotext(
        prompt=prompt,
        negative_prompt=negative,
        steps=28,
        sampler="Euler a",
        guidance=5.5,
        seed=2**64 - 1,
        size=Size(832, 1216),
        model_hash="e3c47aedb0",
        version="sakuga 0.1.0",
    )
    spot.write_bytes(encode(PIXELS, write_infotext(info), options))
    assert read_infotext(spot) == info


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_format_and_size(spot: Path, options: Options) -> None:
    format = {PngOptions: "PNG", JpegOptions: "JPEG", WebpOptions: "WebP"}[type(options)]
    assert read(spot, encode(PIXELS, TEXT, options)) == PictureFile(format, 4, 6, TEXT)


def saved(format: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, format, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "format"),
    [
        (saved("PNG"), "PNG"),
        (saved("JPEG"), "JPEG"),
        (saved("JPEG", progressive=True), "JPEG"),
        (saved("WEBP"), "WebP"),
        (saved("WEBP", lossless=True), "WebP"),
    ],
)
def test_pictures_without_settings(spot: Path, data: bytes, format: str) -> None:
    assert read(spot, data) == PictureFile(format, 4, 6, None)
    with pytest.raises(MetadataError, match="no settings"):
        read_infotext(spot)


def text_chunks(**texts: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    return saved("PNG", pnginfo=info)


def test_comfyui(spot: Path) -> None:
    graph = json.dumps({"3": {"class_type": "KSampler", "inputs": {"seed": 1}}})
    assert read(spot, text_chunks(prompt=graph, workflow=graph)).workflow
    with pytest.raises(MetadataError, match="ComfyUI made it"):
        read_infotext(spot)
    assert read(spot, text_chunks(workflow=graph, parameters=TEXT)) == PictureFile(
        "PNG", 4, 6, TEXT, workflow=True
    )


def test_text_of_a_picture_that_is_no_settings(spot: Path) -> None:
    spot.write_bytes(text_chunks(parameters="a poem"))
    with pytest.raises(MetadataError, match="no settings in this text"):
        read_infotext(spot)


@pytest.mark.parametrize("zip", [True, False])
@pytest.mark.parametrize("text", [TEXT, "plain"])
def test_compressed_texts(spot: Path, zip: bool, text: str) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("parameters", text, "ja", "設定", zip=zip)
    assert read(spot, saved("PNG", pnginfo=info)).parameters == text
    latin = PngImagePlugin.PngInfo()
    latin.add_text("parameters", "café", zip=zip)
    assert read(spot, saved("PNG", pnginfo=latin)).parameters == "café"


def test_exif_behind_other_segments(spot: Path) -> None:
    """Wherever it lies in the buffers of the file being read."""
    for length in range(8170, 8200):
        comment = b"\xff\xfe" + struct.pack(">H", length) + bytes(length - 2)
        data = JPEG[:2] + b"\xff" + comment + JPEG[2:]
        assert read(spot, data) == PictureFile("JPEG", 4, 6, TEXT)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("code", ["utf-16-le", "utf-16-be"])
def test_comments_of_either_byte_order(order: str, code: str) -> None:
    comment = b"UNICODE\0" + TEXT.encode(code)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    exif = mark + struct.pack(
        f"{order}IHHHIIIHHHIII",
        *(8, 1, 0x8769, 4, 1, 26, 0),
        *(1, 0x9286, 7, len(comment), 44, 0),
    )
    assert read_user_comment(HEADER + exif + comment) == TEXT


def test_comments_in_ascii_and_none_at_all() -> None:
    ascii_text = user_comment("x").replace(b"UNICODE\0\0x", b"ASCII\0\0\0ab")
    assert read_user_comment(ascii_text) == "ab"
    assert read_user_comment(user_comment("").replace(b"\x92\x86", b"\x92\x87")) is None


def chunk(kind: bytes, data: bytes, length: int | None = None) -> bytes:
    size = len(data) if length is None else length
    return struct.pack(">I", size) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


HEAD = PNG[:33]  # the signature and the header chunk
END = chunk(b"IEND", b"")
CANVAS = b"RIFF\xff\xff\xff\xffWEBPVP8X\x0a\0\0\0" + bytes(10)
BOMB = zlib.compress(bytes(256 << 20), 9)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (HEAD + chunk(b"zTXt", b"parameters\0\0" + BOMB) + END, "too long"),
        (HEAD + chunk(b"iTXt", b"parameters\0\1\0\0\0" + BOMB) + END, "too long"),
        (HEAD + chunk(b"tEXt", b"parameters\0" + b"x" * MAX_BYTES) + END, "too long"),
        (HEAD + chunk(b"tEXt", b"parameters\0x", 2**31 - 1), "too long"),
        (HEAD + chunk(b"tEXt", b"parameters\0x", 2**31), "impossible header"),
        (HEAD + chunk(b"tEXt", b"parameters\0x", 100), "ends before"),
        (HEAD + chunk(b"zTXt", b"parameters\0\0" + zlib.compress(b"x" * 99)[:-9]), "cut"),
        (HEAD + chunk(b"zTXt", b"parameters\0\0junk"), "cannot be read"),
        (HEAD + chunk(b"iTXt", b"parameters\0\0\0\0\0\xff\xfe"), "cannot be read"),
        (HEAD + chunk(b"iTXt", b"parameters\0"), "cannot be read"),
        (HEAD + chunk(b"tEXt", b"parameters\0abc").replace(b"abc", b"abd"), "checksum"),
        (HEAD[:-4] + bytes(4) + END, "checksum"),
        (HEAD[:8] + END, "no header"),
        (HEAD[:8] + chunk(b"tEXt", b"parameters\0x"), "does not begin with its header"),
        (HEAD, "ends before"),
        (HEAD[:20], "ends before"),
        (HEAD + chunk(b"\0\1\2\3", b""), "impossible header"),
        (HEAD + chunk(b"junk", b"") * 200_000 + END, "more than 100,000"),
        (saved("PNG")[:-20], "ends before"),
        (b"", "no picture"),
        (b"GIF89a" + bytes(99), "no picture"),
        (b"<!doctype html><title>Sign in</title>", "no picture"),
        (b"\xff\xd8", "ends before"),
        (b"\xff\xd8\xff\xd9", "othing in it says its size"),
        (b"\xff\xd8" + b"\xff\xe0\0\2" * 200_000, "othing in it says its size"),
        (b"\xff\xd8" + b"\xff" * 300_000, "othing in it says its size"),
        (b"\xff\xd8\xff\xe1\xff\xffExif\0\0MM", "ends before"),
        (b"\xff\xd8\0\0\0", "does not begin where it should"),
        (b"RIFF\xff\xff\xff\xffWAVEfmt ", "another kind of RIFF"),
        (b"RIFF\x04\0\0\0WEBP", "othing in it says its size"),
        (CANVAS, "ends before"),
        (CANVAS + b"EXIF\xff\xff\xff\x7f", "too long"),
        (b"RIFF\x80\0\0\0WEBPABCD\x0a\0\0\0" + bytes(120), "othing in it says its size"),
    ],
    ids=range(33),
)  # fmt: skip
def test_hostile_files(spot: Path, data: bytes, words: str) -> None:
    assert words in refusal(spot, data)


EXIF_AT = JPEG.index(b"MM\0*")


def patched(at: int, value: bytes) -> bytes:
    return JPEG[: EXIF_AT + at] + value + JPEG[EXIF_AT + at + len(value) :]


@pytest.mark.parametrize(
    "data",
    [
        patched(0, b"XX"),
        patched(4, b"\xff\xff\xff\xff"),
        patched(8, b"\xff\xff"),
        patched(18, b"\xff\xff\xff\xf0"),
        patched(26, b"\x7f\xff"),
        patched(32, b"\x7f\xff\xff\xff"),
        patched(36, b"\x7f\xff\xff\xff"),
        patched(30, b"\0\2"),
        patched(44, b"JIS\0\0\0\0\0"),
        patched(52, b"\xd8\0\xd8\0"),
    ],
    ids=range(10),
)
def test_exif_that_lies(spot: Path, data: bytes) -> None:
    assert "EXIF data of this picture is damaged" in refusal(spot, data)


@pytest.mark.parametrize("whole", [PNG, JPEG, WEBP], ids=["png", "jpeg", "webp"])
def test_cut_anywhere_is_whole_settings_or_refused(spot: Path, whole: bytes) -> None:
    for length in range(len(whole)):
        try:
            assert read(spot, whole[:length]).parameters == TEXT
        except MetadataError:
            assert length < len(whole)


@pytest.mark.parametrize("whole", [PNG, JPEG, WEBP], ids=["png", "jpeg", "webp"])
@given(data=st.data())
@settings(deadline=None)
def test_flipped_bytes_are_read_or_refused(spot: Path, whole: bytes, data: st.DataObject) -> None:
    places = data.draw(st.dictionaries(st.integers(2, len(whole) - 1), st.integers(0, 255)))
    changed = bytes(places.get(place, byte) for place, byte in enumerate(whole))
    try:
        found = read(spot, changed)
        assert found.parameters is None or isinstance(found.parameters, str)
    except MetadataError as error:
        assert error.note


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: None], ids=["folder", "nothing"])
def test_paths_that_are_no_file(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "a.png")
    with pytest.raises(MetadataError, match="cannot be read"):
        read_infotext(tmp_path / "a.png")
