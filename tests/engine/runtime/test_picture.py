"""A finished picture and its file."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sakuga.engine.errors import UsageError
from sakuga.engine.runtime.picture import Picture


@pytest.fixture
def picture() -> Picture:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    return Picture(pixels, "1girl\nSteps: 3", index=2, seed=5)


def test_a_file_gives_pixels_and_parameters_back(picture: Picture, tmp_path: Path) -> None:
    picture.save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert np.array_equal(np.asarray(image), picture.pixels)
        assert image.info["parameters"] == "1girl\nSteps: 3"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_name_may_be_text(picture: Picture, tmp_path: Path) -> None:
    picture.save(str(tmp_path / "a.png"))
    assert (tmp_path / "a.png").read_bytes() == picture.to_png()


@pytest.mark.parametrize(
    ("name", "format"),
    [("a.png", "PNG"), ("a.jpg", "JPEG"), ("a.jpeg", "JPEG"), ("a.webp", "WEBP")],
)
def test_a_name_says_the_format(picture: Picture, tmp_path: Path, name: str, format: str) -> None:
    picture.save(tmp_path / name)
    with Image.open(tmp_path / name) as image:
        assert (image.format, image.size) == (format, (24, 16))
    if format != "PNG":
        usual = (tmp_path / name).stat().st_size
        picture.save(tmp_path / name, quality=10)
        assert (tmp_path / name).stat().st_size < usual


def test_names_of_no_format(picture: Picture, tmp_path: Path) -> None:
    for name in ("a.gif", "a"):
        with pytest.raises(UsageError, match=r"\.png, \.jpg, \.jpeg, \.webp"):
            picture.save(tmp_path / name)
    with pytest.raises(UsageError, match="no quality"):
        picture.save(tmp_path / "a.png", quality=90)
    assert list(tmp_path.iterdir()) == []


def test_saving_replaces_what_was_there(picture: Picture, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"old")
    picture.save(tmp_path / "a.png")
    with Image.open(io.BytesIO((tmp_path / "a.png").read_bytes())) as image:
        assert image.size == (24, 16)


def test_a_missing_folder_is_an_os_error(picture: Picture, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        picture.save(tmp_path / "absent" / "a.png")
    assert list(tmp_path.iterdir()) == []
