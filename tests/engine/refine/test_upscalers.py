"""Upscalers by name, and folders that are none."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hand_made_upscalers import hand_made, scene, sharpener, whole

from sakuga.engine.backend.base import Session
from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.errors import BundleDamagedError, BundleFormatError, UsageError
from sakuga.engine.manifest import MANIFEST
from sakuga.engine.refine.upscaler import Resampler, Upscaler
from sakuga.engine.refine.upscalers import Upscalers
from sakuga.engine.upscaler_folder import UpscalerFolder, open_upscaler
from sakuga.profiles.buckets import Size


def load(folder: UpscalerFolder) -> Session:
    return OnnxSession(folder.graph("float32"), threads=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "upscalers"
    hand_made(place / "DAT_x2.upscaler", sharpener(2))
    hand_made(place / "realesr-animevideov3.upscaler", sharpener(4), 4)
    (place / "notes").mkdir()
    (place / "4x.pth").write_bytes(b"not built yet")
    return place


def test_there_are_filters_and_what_lies_in_the_folder(folder: Path) -> None:
    assert Upscalers(folder).names() == ["Lanczos", "Nearest", "DAT_x2", "realesr-animevideov3"]
    assert Upscalers(None).names() == ["Lanczos", "Nearest"]


@pytest.mark.parametrize("name", ["DAT_x2", "DAT x2", "dat_x2", " DAT-X2 ", "datx2", "DAT_x2.pth"])
def test_spellings_of_a_name(folder: Path, name: str) -> None:
    found = Upscalers(folder).find(name, load)
    assert isinstance(found, Upscaler) and (found.name, found.scale) == ("DAT_x2", 2)
    assert whole(found.enlarge(scene(20, 30), Size(45, 40))).shape == (40, 45, 3)


@pytest.mark.parametrize("name", ["Lanczos", "lanczos", "NEAREST"])
def test_filters_need_no_folder(name: str) -> None:
    found = Upscalers(None).find(name, load)
    assert isinstance(found, Resampler)
    assert whole(found.enlarge(scene(20, 30), Size(45, 40))).shape == (40, 45, 3)


def test_the_name_it_was_built_with_finds_it_in_another_folder(folder: Path) -> None:
    (folder / "DAT_x2.upscaler").rename(folder / "mine")
    for name in ("dat x2", "Mine"):
        assert Upscalers(folder).find(name, load).name == "DAT_x2"


def test_an_unknown_name_is_answered_with_what_there_is(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"There is no upscaler 'swin'\.") as error:
        Upscalers(folder).check("swin")
    assert "Lanczos, Nearest, DAT_x2, realesr-animevideov3" in error.value.note
    assert "sakuga build-upscaler FILE --out" in error.value.hint
    with pytest.raises(UsageError, match="no folder"):
        Upscalers(folder / "elsewhere").find("swin", load)


def test_two_of_one_name_are_told(folder: Path) -> None:
    shutil.copytree(folder / "DAT_x2.upscaler", folder / "dat x2")
    with pytest.raises(UsageError, match="2 upscalers are called 'DAT x2'"):
        Upscalers(folder).find("DAT x2", load)


def test_who_asks_says_what_runs_it_and_it_is_opened_once(folder: Path) -> None:
    loaded: list[Path] = []

    def noted(folder: UpscalerFolder) -> Session:
        loaded.append(folder.path)
        return load(folder)

    upscalers = Upscalers(folder)
    upscalers.check("DAT x2")
    assert loaded == []
    assert upscalers.find("DAT x2", noted) is upscalers.find("dat_x2", noted)
    assert loaded == [folder / "DAT_x2.upscaler"]


def test_a_precision_it_has_not_is_an_error(folder: Path) -> None:
    with pytest.raises(BundleFormatError, match="no network in float16"):
        open_upscaler(folder / "DAT_x2.upscaler").graph("float16")


def test_a_changed_byte_is_seen(folder: Path) -> None:
    graph = folder / "DAT_x2.upscaler" / "onnx" / "upscaler" / "model.onnx"
    data = bytearray(graph.read_bytes())
    data[len(data) // 2] ^= 1
    graph.write_bytes(data)
    with pytest.raises(BundleDamagedError, match="is damaged") as error:
        Upscalers(folder).find("DAT x2", load)
    assert "has changed since it was built" in error.value.note
    graph.unlink()
    with pytest.raises(BundleDamagedError) as error:
        Upscalers(folder).find("DAT x2", load)
    assert "is missing" in error.value.note


SPOILT: dict[str, Any] = {
    "another format": {"format": "sakuga-upscaler-2"},
    "no scale": {"scale": None},
    "a scale of nothing": {"scale": 0},
    "an overlap of all": {"overlap": 192},
    "no side": {"sides": {"minimum": 1, "multiple": 0, "square": False}},
    "no graph": {"graphs": {}},
    "a graph that is no file": {"graphs": {"float32": "model.onnx"}},
    "a file outside": {"files": {"../../secret": {"size_bytes": 1, "sha256": "0"}}},
}


@pytest.mark.parametrize("change", SPOILT.values(), ids=SPOILT)
def test_manifests_no_build_writes(folder: Path, change: dict[str, Any]) -> None:
    manifest = folder / "DAT_x2.upscaler" / MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | change))
    with pytest.raises(BundleFormatError):
        open_upscaler(manifest.parent)


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", '{"sakuga": "1"}'])
def test_what_is_no_upscaler_is_said_to_be_none(folder: Path, text: str) -> None:
    (folder / "notes" / MANIFEST).write_text(text)
    with pytest.raises(BundleFormatError, match="is no upscaler that Sakuga built"):
        open_upscaler(folder / "notes")
