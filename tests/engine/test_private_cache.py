"""The cache folder: nobody else's, and never where others could put a file into it."""

import os
import stat
import sys
from pathlib import Path

import pytest

from sakuga.engine import platform
from sakuga.engine.digests import DigestMemory
from sakuga.engine.doctor import examine
from sakuga.engine.errors import BuildError
from sakuga.engine.platform import cache_folder, free_memory_bytes, peak_memory_bytes
from sakuga.export.build import BuildOptions, build

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that is to hold the caches of a user."""
    folder = tmp_path / "caches"
    folder.mkdir(mode=0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o757])
def test_a_folder_everyone_may_write_to_is_refused(base: Path, mode: int) -> None:
    base.chmod(mode)
    with pytest.raises(PermissionError, match="not private: set XDG_CACHE_HOME"):
        cache_folder()
    assert "not private" in examine()["cache"]
    assert "cannot be read" in examine()["plan store"]


def test_a_folder_of_somebody_else_is_refused(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache_folder()
    monkeypatch.setattr(platform.os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(PermissionError, match="not private"):
        cache_folder()


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o777])
def test_a_folder_others_can_see_into_is_closed(base: Path, mode: int) -> None:
    cache_folder().chmod(mode)
    assert stat.S_IMODE(cache_folder().stat().st_mode) == 0o700


def test_digests_are_then_computed_and_not_remembered(base: Path, tmp_path: Path) -> None:
    base.chmod(0o777)
    (tmp_path / "file").write_bytes(b"bytes")
    digest = DigestMemory().sha256s({"file": tmp_path / "file"})["file"]
    assert digest.startswith("277089d91c0bdf4f")
    assert not list(base.glob("sakuga/*"))


def test_a_build_with_plans_is_then_refused_and_one_without_is_not(
    base: Path, sdxl_file: Path, tmp_path: Path
) -> None:
    base.chmod(0o777)
    with pytest.raises(BuildError, match="not private: set XDG_CACHE_HOME") as caught:
        build(sdxl_file, tmp_path / "place" / "b", BuildOptions(backend="rtx", gpu="sm89"))
    assert str(base / "sakuga") in caught.value.note
    assert not (tmp_path / "place").exists()
    build(sdxl_file, tmp_path / "place" / "b", BuildOptions(backend="onnx"))


@pytest.mark.skipif(sys.platform != "linux", reason="what Linux says")
def test_memory_is_counted_in_bytes() -> None:
    free = free_memory_bytes()
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert free is not None and 100_000_000 < free <= total
    block = bytearray(200_000_000)
    peak = peak_memory_bytes()
    assert peak is not None and len(block) < peak <= total
