"""Where `sakuga render` writes, and in which format."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sakuga.engine.bundle import Bundle

Run = Any  # the fixture


def test_out_may_name_the_one_picture(run: Run, sdxl_bundle: Bundle, tmp_path: Path) -> None:
    command = ["render", sdxl_bundle.path, "1girl", "--steps", 1, "--width", 128, "--out"]
    for name, format in (("a.png", "PNG"), ("b.v2.jpeg", "JPEG"), ("new/c.WEBP", "WEBP")):
        assert run(*command, tmp_path / name).out == f"{tmp_path / name}\n"
        with Image.open(tmp_path / name) as image:
            assert image.format == format
    (tmp_path / "folder.png").mkdir()
    assert run(*command, tmp_path / "folder.png", "--seed", 5, "--format", "webp").out == (
        f"{tmp_path / 'folder.png' / '00000-5.webp'}\n"
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--out", "a.png", "--format", "webp"], "two formats"),
        (["--out", "a.png", "--quality", 90], "PNG has no quality"),
        (["--out", "a", "--format", "jpeg", "--quality", 101], "101"),
        (["--out", "a", "--ignore", "model"], "--from"),
    ],
    ids=str,
)
def test_formats_that_cannot_be_written(
    run: Run, sdxl_bundle: Bundle, tmp_path: Path, options: list[object], words: str
) -> None:
    options[1] = tmp_path / str(options[1])
    done = run("render", sdxl_bundle.path, "1girl", *options)
    done.check_error()
    assert done.code == 2 and words in done.err and list(tmp_path.iterdir()) == []


def test_pictures_stay_out_of_bundles(run: Run, sdxl_bundle: Bundle) -> None:
    done = run("render", sdxl_bundle.path, "1girl", "--out", sdxl_bundle.path / "new" / "pictures")
    done.check_error()
    assert done.code == 2 and "lies inside the bundle" in done.err
    assert not (sdxl_bundle.path / "new").exists()
