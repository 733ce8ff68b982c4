"""Bundles that `sakuga render` refuses."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sakuga.engine.bundle import Bundle
from sakuga.engine.manifest import SCHEMA

Run = Any  # the fixture


def changed_byte(bundle: Path) -> None:
    weights = bundle / "onnx" / "unet" / "weights.bin"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)


def missing_file(bundle: Path) -> None:
    (bundle / "text" / "tokenizer.json").unlink()


def newer_schema(bundle: Path) -> None:
    manifest = bundle / "manifest.json"
    manifest.write_text(manifest.read_text().replace(f'"schema": {SCHEMA}', '"schema": 99'))


def no_manifest(bundle: Path) -> None:
    (bundle / "manifest.json").unlink()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (changed_byte, "unet/weights.bin has changed"),
        (missing_file, "tokenizer.json is missing"),
        (newer_schema, "newer"),
        (no_manifest, "not a Sakuga bundle"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_damaged_bundles(
    run: Run, sdxl_bundle: Bundle, tmp_path: Path, damage: Callable[[Path], None], words: str
) -> None:
    bundle = tmp_path / "copy.sakuga"
    shutil.copytree(sdxl_bundle.path, bundle)
    damage(bundle)
    done = run("render", bundle, "1girl", "--out", tmp_path / "out")
    done.check_error()
    assert done.code == 1 and words in done.err
    assert not (tmp_path / "out").exists()
