"""Builds that fail: one clear error, the old bundle as it was, and nothing beside it."""

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sakuga.engine.bundle import Bundle
from sakuga.engine.errors import BuildError, BusyError, CheckpointError, TensorError
from sakuga.engine.platform import exclusive
from sakuga.export import build as build_module
from sakuga.export.build import BuildOptions, build
from sakuga.export.checkpoint.safetensors_file import SafetensorsFile
from sakuga.export.checkpoint.safetensors_writer import PlannedTensor, write_safetensors

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


def edited(source: Path, path: Path, edit: Edit) -> Path:
    """A copy of a float32 checkpoint with tensors changed."""
    with SafetensorsFile(source) as file:
        planned = {}
        for name, info in file.tensors.items():
            values = edit(name, file.read(name))
            kind: Any = info.dtype
            planned[name] = PlannedTensor(kind, info.shape, lambda values=values: values)
        write_safetensors(path, planned, dict(file.metadata))
    return path


@pytest.fixture
def old(tmp_path: Path, sd15_bundle: Bundle) -> Path:
    """A folder with a bundle in it, to be replaced or not."""
    path = tmp_path / "place" / "model.sakuga"
    for name, source in ((p.relative_to(sd15_bundle.path), p) for p in sd15_bundle.path.rglob("*")):
        if source.is_file():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(source.read_bytes())
    return path


@pytest.fixture
def unchanged(old: Path) -> Iterator[Path]:
    """The same; afterwards it must be as it was, with nothing beside it."""
    before = tree(old)
    yield old
    assert tree(old) == before
    assert names(old.parent) == [old.name]


def test_a_missing_model_leaves_the_old_bundle(unchanged: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        build(tmp_path / "absent.safetensors", unchanged)


@pytest.mark.parametrize("model", ["absent", "folder", "text"])
def test_what_is_no_model_leaves_no_folder(tmp_path: Path, model: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("no model")
    with pytest.raises(CheckpointError):
        build(tmp_path / model, tmp_path / "a" / "b" / "c.sakuga")
    assert names(tmp_path) == ["folder", "text"]


@pytest.mark.parametrize("there", [(), ("a",), ("a", "b")])
def test_a_build_that_fails_late_removes_the_folders_it_made(
    sd15_file: Path, tmp_path: Path, there: tuple[str, ...]
) -> None:
    def interrupt(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    place = tmp_path / "place"
    place.joinpath(*there).mkdir(parents=True)
    for model in (sd15_file, "demo"):
        with pytest.raises(KeyboardInterrupt):
            build(model, place / "a" / "b" / "c.sakuga", progress=interrupt)
        assert [path.name for path in sorted(place.rglob("*"))] == list(there)


UNET_BIAS = "model.diffusion_model.input_blocks.0.0.bias"
LAST = "first_stage_model.quant_conv.bias"  # read by the last network


@pytest.mark.parametrize("name", [UNET_BIAS, LAST])
def test_nan_in_a_checkpoint_leaves_the_old_bundle(
    unchanged: Path, sd15_file: Path, tmp_path: Path, name: str
) -> None:
    def poison(key: str, values: NDArray[Any]) -> NDArray[Any]:
        return np.full_like(values, np.nan) if key == name else values

    with pytest.raises(TensorError, match="NaN"):
        build(edited(sd15_file, tmp_path / "nan.safetensors", poison), unchanged)


def test_values_beyond_float16_are_refused_in_fp16_alone(
    unchanged: Path, sd15_file: Path, tmp_path: Path
) -> None:
    def blow_up(key: str, values: NDArray[Any]) -> NDArray[Any]:
        return values + np.float32(1e5) if key == UNET_BIAS else values

    loud = edited(sd15_file, tmp_path / "loud.safetensors", blow_up)
    with pytest.raises(TensorError, match=r"conv_in\.bias holds values that float16 cannot"):
        build(loud, unchanged, BuildOptions(precision="fp16"))
    build(loud, tmp_path / "fp32.sakuga")


def test_an_interrupt_leaves_the_old_bundle(unchanged: Path, sd15_file: Path) -> None:
    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "vae_decoder":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(sd15_file, unchanged, progress=interrupt)


def test_a_disk_known_to_be_too_small_is_refused_at_once(
    unchanged: Path, sd15_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def usage(path: Path) -> Any:  # noqa: ANN401
        return type("Usage", (), {"free": 1_000_000})

    monkeypatch.setattr(build_module.shutil, "disk_usage", usage)
    with pytest.raises(BuildError, match="too small") as caught:
        build(sd15_file, unchanged)
    assert "0.00 GB are free" in caught.value.note


# Where each limit strikes: the tokenizer, the token embeddings, the weights of the UNet.
@pytest.mark.parametrize("limit_bytes", [1_000, 1_500_000, 5_000_000, 9_000_000])
def test_a_write_that_fails_leaves_the_old_bundle(
    unchanged: Path, sd15_file: Path, limit_bytes: int
) -> None:
    """A limit on file sizes makes the system refuse a write wherever it is reached."""
    resource = pytest.importorskip("resource")
    code = """
import resource, sys
from sakuga.engine.errors import BuildError
from sakuga.export.build import build
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
try:
    build(*sys.argv[2:])
except BuildError as error:
    print(error)
"""
    assert resource.RLIMIT_FSIZE is not None
    args = [sys.executable, "-c", code, str(limit_bytes), str(sd15_file), str(unchanged)]
    done = subprocess.run(args, check=True, capture_output=True, text=True)
    assert "File too large" in done.stdout


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MB: enough for the text of the small model, not for its UNet."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting needs rights this machine does not give")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_leaves_nothing(
    small_disk: Path, sd15_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BuildError, match="too small"):
        build(sd15_file, small_disk / "b")
    monkeypatch.setattr(build_module, "_check_disk", lambda size_bytes, folder: None)
    with pytest.raises(BuildError, match="No space left"):
        build(sd15_file, small_disk / "b")
    assert names(small_disk) == []


def test_a_second_writer_is_told_to_wait(unchanged: Path, sd15_file: Path) -> None:
    with exclusive(unchanged.with_name(f".{unchanged.name}.lock")):
        with pytest.raises(BusyError, match=r"writing model\.sakuga") as caught:
            build(sd15_file, unchanged)
        assert isinstance(caught.value, BuildError)
