"""Where builds refuse to write, so that nobody's files are lost."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from sakuga.engine.bundle import Bundle, open_bundle
from sakuga.engine.errors import UsageError
from sakuga.export.build import build


def tree(folder: Path) -> dict[str, str]:
    """Digest of every file under a folder, by relative path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def old(tmp_path: Path, sd15_bundle: Bundle) -> Path:
    """A folder with a bundle in it, to be replaced or not."""
    return shutil.copytree(sd15_bundle.path, tmp_path / "place" / "model.sakuga")


@pytest.mark.parametrize("there", ["file", "folder", "web application", "broken manifest"])
def test_what_is_no_bundle_is_never_replaced(there: str, sd15_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "place" / "mine"
    out.parent.mkdir()
    if there == "file":
        out.write_text("mine")
    else:
        out.mkdir()
        (out / "mine.txt").write_text("mine")
    if there == "web application":
        (out / "manifest.json").write_text(json.dumps({"name": "mine", "start_url": "/"}))
    if there == "broken manifest":
        (out / "manifest.json").write_text('"sakuga')
    before = out.read_bytes() if there == "file" else tree(out)
    with pytest.raises(UsageError, match="is no bundle"):
        build(sd15_file, out)
    assert (out.read_bytes() if there == "file" else tree(out)) == before
    assert names(out.parent) == ["mine"]


@pytest.mark.parametrize("path", ["mine.png", "pics/1.png", "onnx/unet/mine.txt", "text/a/b.txt"])
def test_a_file_of_the_user_is_named_and_kept(old: Path, sdxl_file: Path, path: str) -> None:
    (old / path).parent.mkdir(parents=True, exist_ok=True)
    (old / path).write_text("mine")
    before = tree(old)
    with pytest.raises(UsageError, match="no build put there") as caught:
        build(sdxl_file, old)
    named = {"pics/1.png": "pics/.", "text/a/b.txt": "text/a/."}.get(path, f"{path}.")
    assert caught.value.what.endswith(named)
    assert "Move them out" in caught.value.hint
    assert tree(old) == before
    assert names(old.parent) == [old.name]


def test_many_files_are_counted(old: Path, sdxl_file: Path) -> None:
    for number in range(9):
        (old / f"{number}.png").write_text("mine")
    with pytest.raises(UsageError, match=r"0\.png, 1\.png, .*4\.png and 4 more\.") as caught:
        build(sdxl_file, old)
    assert "5.png" not in str(caught.value)


def test_an_empty_folder_of_the_user_is_kept(old: Path, sdxl_file: Path) -> None:
    (old / "pics").mkdir()
    with pytest.raises(UsageError, match="pics/"):
        build(sdxl_file, old)
    assert (old / "pics").is_dir()


@pytest.mark.parametrize("text", ['{"sakuga": "9.0"}', '{"sakuga": "", "schema": 0, "files": []}'])
def test_a_bundle_of_another_schema_loses_no_file_beside_its_own(
    old: Path, sdxl_file: Path, text: str
) -> None:
    (old / "manifest.json").write_text(text)
    (old / "pics").mkdir()
    with pytest.raises(UsageError, match="pics"):
        build(sdxl_file, old)
    (old / "pics").rmdir()
    build(sdxl_file, old)


def test_pictures_rendered_during_a_build_are_kept(old: Path, sdxl_file: Path) -> None:
    def render(stage: str, done: int, total: int) -> None:
        (old / "1.png").write_text("mine")

    with pytest.raises(UsageError, match=r"1\.png"):
        build(sdxl_file, old, progress=render)
    assert (old / "1.png").read_text() == "mine"
    assert open_bundle(old).family.name == "sd15-tiny"
    assert names(old.parent) == [old.name]


@pytest.mark.parametrize("path", ["b.sakuga", "onnx/b.sakuga", "new/b.sakuga"])
def test_no_bundle_is_built_inside_another(old: Path, sdxl_file: Path, path: str) -> None:
    before = tree(old)
    with pytest.raises(UsageError, match="lies inside the bundle"):
        build(sdxl_file, old / path)
    assert tree(old) == before
    assert not (old / "new").exists()


@pytest.mark.parametrize("path", ["file/b.sakuga", "file/a/b.sakuga"])
def test_a_path_below_a_file_names_the_file(sd15_file: Path, tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="file, which is a file"):
        build(sd15_file, tmp_path / path)
    assert names(tmp_path) == ["file"]
