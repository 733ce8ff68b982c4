"""Opening a bundle: everything is checked, and every damage is named."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sakuga.engine import digests
from sakuga.engine.bundle import Bundle, open_bundle, read_manifest
from sakuga.engine.errors import BundleDamagedError, BundleFormatError
from sakuga.engine.manifest import MANIFEST, SCHEMA

Change = Callable[[dict[str, Any]], None]

FILES = (
    "text/tokenizer.json",
    "text/text_encoder.npy",
    "onnx/text_encoder/model.onnx",
    "onnx/unet/model.onnx",
    "onnx/unet/weights.bin",
    "onnx/vae_decoder/weights.bin",
    "onnx/vae_encoder/model.onnx",
)


@pytest.fixture
def bundle(sd15_bundle: Bundle, tmp_path: Path) -> Path:
    """A copy to damage."""
    return shutil.copytree(sd15_bundle.path, tmp_path / "model.sakuga")


def change_manifest(bundle: Path, change: Change) -> None:
    path = bundle / MANIFEST
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_copy_opens(bundle: Path, sd15_bundle: Bundle) -> None:
    opened = open_bundle(bundle)
    assert opened.manifest == sd15_bundle.manifest
    assert opened.graph("unet") == bundle / "onnx/unet/model.onnx"
    assert opened.token_embedding("text_encoder") == bundle / "text/text_encoder.npy"
    assert opened.tokenizer == bundle / "text/tokenizer.json"


def test_the_files_are_those_the_tests_damage(sd15_bundle: Bundle) -> None:
    assert set(FILES) <= sd15_bundle.manifest.files.keys()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_a_changed_byte_is_noticed_and_its_file_named(bundle: Path, name: str, place: str) -> None:
    open_bundle(bundle)  # so that digests are remembered
    path = bundle / name
    data = bytearray(path.read_bytes())
    data[{"first": 0, "middle": len(data) // 2, "last": -1}[place]] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleDamagedError, match="is damaged") as caught:
        open_bundle(bundle)
    assert f"{name} has changed" in caught.value.note
    assert caught.value.hint


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(BundleDamagedError) as caught:
        open_bundle(bundle)
    assert f"{name} is missing" in caught.value.note


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("cut", [-1, 1])
def test_a_wrong_size_is_told_without_reading(
    bundle: Path, name: str, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = (bundle / name).read_bytes()
    (bundle / name).write_bytes(data[:-1] if cut < 0 else data + b"\0")

    def refuse(path: Path) -> str:
        raise AssertionError("read in vain")

    monkeypatch.setattr(digests, "file_sha256", refuse)
    with pytest.raises(BundleDamagedError) as caught:
        open_bundle(bundle)
    assert f"{name} has {len(data) + cut:,} bytes, {len(data):,} were written" in caught.value.note


def test_a_folder_in_the_place_of_a_file_is_damage(bundle: Path) -> None:
    (bundle / FILES[0]).unlink()
    (bundle / FILES[0]).mkdir()
    with pytest.raises(BundleDamagedError):
        open_bundle(bundle)


def test_a_file_that_cannot_be_read_is_damage(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> str:
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(digests, "file_sha256", fail)
    with pytest.raises(BundleDamagedError, match="is damaged") as caught:
        open_bundle(bundle)
    assert "Input/output error" in caught.value.note


def test_surplus_files_do_no_harm(bundle: Path) -> None:
    (bundle / "notes.txt").write_text("mine")
    open_bundle(bundle)


@pytest.mark.parametrize("what", ["nothing", "file", "empty folder", "folder"])
def test_what_is_no_bundle_says_how_to_make_one(tmp_path: Path, what: str) -> None:
    path = tmp_path / "x"
    if what == "file":
        path.write_text("{}")
    elif what != "nothing":
        path.mkdir()
    if what == "folder":
        (path / "model_index.json").write_text("{}")
    with pytest.raises(BundleFormatError) as caught:
        open_bundle(path)
    assert "sakuga build" in caught.value.hint


@pytest.mark.parametrize(
    "schema, who, hint",
    [
        (SCHEMA + 1, "newer", "Upgrade"),
        (99, "newer", "Upgrade"),
        (SCHEMA - 1, "older", "again"),
        (0, "older", "again"),
        (str(SCHEMA), "older", ""),
    ],
)
def test_another_schema_says_who_wrote_it(
    bundle: Path, schema: object, who: str, hint: str
) -> None:
    change_manifest(bundle, lambda content: content.update(schema=schema))
    with pytest.raises(BundleFormatError, match=f"written by an? {who} Sakuga") as caught:
        open_bundle(bundle)
    assert hint in caught.value.hint


def test_a_newer_schema_may_look_like_anything(bundle: Path) -> None:
    (bundle / MANIFEST).write_text('{"schema": 7, "everything": "else"}')
    with pytest.raises(BundleFormatError, match="newer"):
        open_bundle(bundle)


def test_an_unknown_family_is_named(bundle: Path) -> None:
    change_manifest(bundle, lambda content: content.update(family="flux"))
    with pytest.raises(BundleFormatError, match="'flux' is unknown"):
        open_bundle(bundle)


OUTSIDE = (
    "../secret",
    "onnx/../../secret",
    "/etc/passwd",
    "C:/Windows/win.ini",
    "C:secret",
    "..\\secret",
    "onnx\\..\\..\\secret",
    "\\\\server\\share\\secret",
    "\\secret",
)


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_manifest_that_points_outside_is_refused(bundle: Path, name: str) -> None:
    secret = bundle.parent / "secret"
    secret.write_text("mine")
    entry = {"size_bytes": 4, "sha256": digests.file_sha256(secret)}
    change_manifest(bundle, lambda content: content["files"].update({name: entry}))
    with pytest.raises(BundleFormatError, match="outside it"):
        open_bundle(bundle)


@pytest.mark.parametrize("name", [*OUTSIDE, "onnx/absent.onnx"])
@pytest.mark.parametrize("role", ["tokenizer", "token embedding", "graph"])
def test_what_is_used_must_be_listed(bundle: Path, name: str, role: str) -> None:
    """Otherwise a file would be read that no digest guards."""

    def change(content: dict[str, Any]) -> None:
        if role == "tokenizer":
            content["tokenizer"] = name
        elif role == "token embedding":
            content["token_embeddings"]["text_encoder"] = name
        else:
            content["networks"]["unet"]["graph"] = name

    change_manifest(bundle, change)
    with pytest.raises(BundleFormatError, match="incomplete"):
        open_bundle(bundle)


@pytest.mark.parametrize("network", ["text_encoder", "unet", "vae_decoder", "vae_encoder"])
def test_a_bundle_without_a_network_is_refused(bundle: Path, network: str) -> None:
    change_manifest(bundle, lambda content: content["networks"].pop(network))
    with pytest.raises(BundleFormatError, match="incomplete") as caught:
        open_bundle(bundle)
    assert network in caught.value.note


def test_the_manifest_alone_can_be_read(bundle: Path, sd15_bundle: Bundle) -> None:
    shutil.rmtree(bundle / "onnx")
    assert read_manifest(bundle) == sd15_bundle.manifest


def test_a_manifest_that_is_no_text_is_no_bundle(bundle: Path) -> None:
    (bundle / MANIFEST).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BundleFormatError, match="not a Sakuga bundle"):
        open_bundle(bundle)
