"""Builds: the same bundle every time, whole or not at all, and nothing else touched."""

import hashlib
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray

from sakuga.engine import digests
from sakuga.engine.bundle import Bundle, open_bundle
from sakuga.engine.manifest import SCHEMA
from sakuga.engine.platform import fsync_folder
from sakuga.export import build as build_module
from sakuga.export import workshop as workshop_module
from sakuga.export.build import build

Edit = Callable[[str, NDArray[Any]], NDArray[Any]]


def tree(folder: Path) -> dict[str, str]:
    """Digest of every file under a folder, by relative path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_same_checkpoint_gives_the_same_bytes(sd15_file: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        build(sd15_file, tmp_path / name)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_both_layouts_give_the_same_networks(
    sdxl_bundle: Bundle, sdxl_folder: Path, tmp_path: Path
) -> None:
    other = build(sdxl_folder, tmp_path / "b").manifest
    assert other.files == sdxl_bundle.manifest.files
    assert other.checkpoint.layout == "diffusers"
    assert other.checkpoint.sha256 != sdxl_bundle.manifest.checkpoint.sha256


def test_zero_terminal_snr_is_written_down(sd15_folder: Path, tmp_path: Path) -> None:
    model = shutil.copytree(sd15_folder, tmp_path / "model")
    path = model / "scheduler" / "scheduler_config.json"
    said = {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction"}
    path.write_text(json.dumps(json.loads(path.read_text()) | said))
    manifest = build(model, tmp_path / "b.sakuga").manifest
    assert (manifest.prediction, manifest.zero_terminal_snr) == ("v_prediction", True)


def test_fp16_takes_about_half(sdxl_bundle: Bundle, sdxl_fp16_bundle: Bundle) -> None:
    for name, low, high in (
        ("onnx/unet/weights.bin", 0.49, 0.52),
        ("text/text_encoder.npy", 0.49, 0.51),
    ):
        wide = sdxl_bundle.manifest.files[name].size_bytes
        assert low < sdxl_fp16_bundle.manifest.files[name].size_bytes / wide < high
    vae = "onnx/vae_encoder/weights.bin"
    assert sdxl_fp16_bundle.manifest.files[vae] == sdxl_bundle.manifest.files[vae]


def test_a_build_imports_no_torch(tmp_path: Path) -> None:
    code = """
import sys
from sakuga.export.build import build
build("demo", sys.argv[1])
found = {"torch", "diffusers", "transformers", "onnxscript", "onnx_ir"} & set(sys.modules)
assert not found, found
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "demo.sakuga")], check=True)
    assert names(tmp_path) == ["demo.sakuga"]
    assert open_bundle(tmp_path / "demo.sakuga").family.name == "sdxl-demo"


def test_a_fresh_bundle_opens_without_reading_its_weights(
    sd15_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(sd15_file, tmp_path / "b")

    def refuse(path: Path) -> str:
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr(digests, "file_sha256", refuse)
    open_bundle(tmp_path / "b")


def test_a_build_makes_the_folders_above_it(sd15_file: Path, tmp_path: Path) -> None:
    build(sd15_file, tmp_path / "a" / "b" / "c.sakuga")
    assert names(tmp_path / "a" / "b") == ["c.sakuga"]


@pytest.fixture
def old(tmp_path: Path, sd15_bundle: Bundle) -> Path:
    """A folder with a bundle in it, to be replaced or not."""
    path = tmp_path / "place" / "model.sakuga"
    for name, source in ((p.relative_to(sd15_bundle.path), p) for p in sd15_bundle.path.rglob("*")):
        if source.is_file():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(source.read_bytes())
    return path


def test_a_bundle_is_replaced(old: Path, sdxl_file: Path) -> None:
    assert build(sdxl_file, old).family.name == "sdxl-tiny"
    assert names(old) == ["manifest.json", "onnx", "text"]
    assert names(old.parent) == [old.name]


@pytest.mark.parametrize("text", ['{"sakuga": "9.0", "schema": 99}', '{"schema": 0, "sakuga": ""}'])
def test_a_bundle_of_another_schema_is_replaced(old: Path, sd15_file: Path, text: str) -> None:
    (old / "manifest.json").write_text(text)
    assert build(sd15_file, old).manifest.schema == SCHEMA


def test_an_empty_folder_becomes_a_bundle(sd15_file: Path, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    build(sd15_file, tmp_path / "b")


def test_a_link_to_a_bundle_is_followed(old: Path, sdxl_file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.sakuga"
    link.symlink_to(old)
    build(sdxl_file, link)
    assert link.is_symlink()
    assert open_bundle(old).family.name == "sdxl-tiny"
    assert names(old.parent) == [old.name]


def test_racing_writers_leave_one_whole_bundle(sd15_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "place" / "b.sakuga"
    code = "import sys; from sakuga.export.build import build; build(*sys.argv[1:])"
    args = [sys.executable, "-c", code, str(sd15_file), str(out)]
    racers = [subprocess.Popen(args, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    errors = [(racer.wait(), racer.communicate()[1]) for racer in racers]
    assert any(code == 0 for code, _ in errors)
    assert all(code == 0 or "BusyError" in error for code, error in errors), errors
    open_bundle(out)
    assert names(out.parent) == ["b.sakuga"]


def test_readers_never_see_a_bundle_half_replaced(
    sd15_file: Path, sdxl_file: Path, old: Path
) -> None:
    """A bundle opened again and again while two models take turns in its place."""
    stop, failures, families = threading.Event(), [], set[str]()

    def read() -> None:
        while not stop.is_set():
            try:
                families.add(open_bundle(old).family.name)
            except Exception as error:
                failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(2):
        build(sdxl_file, old)
        build(sd15_file, old)
    stop.set()
    reader.join()
    assert not failures
    assert families == {"sdxl-tiny", "sd15-tiny"}
    assert open_bundle(old).family.name == "sd15-tiny"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no folders to sync")
def test_every_folder_of_a_bundle_is_on_the_disk_before_it_takes_its_place(
    sd15_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[str] = set()
    exchange = build_module.replace_folder

    def note(path: Path) -> None:
        synced.add(path.as_posix())
        fsync_folder(path)

    def check(new: Path, target: Path) -> None:
        folders = {new, *(path for path in new.rglob("*") if path.is_dir())}
        assert {path.as_posix() for path in folders} <= synced
        assert new / "onnx" in folders
        exchange(new, target)

    monkeypatch.setattr(workshop_module, "fsync_folder", note)
    monkeypatch.setattr(build_module, "replace_folder", check)
    build(sd15_file, tmp_path / "b")
