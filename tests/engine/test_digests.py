"""Digests: computed once, never believed of a file that has changed."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from sakuga.engine import digests
from sakuga.engine.bundle import Bundle, open_bundle
from sakuga.engine.digests import DigestMemory, file_sha256


class Reads:
    """Which files were read, and their true digests."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.paths: list[Path] = []
        patch.setattr(digests, "file_sha256", self._read)

    def _read(self, path: Path) -> str:
        self.paths.append(path)
        return file_sha256(path)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(monkeypatch)


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "digests.json"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    paths = {name: tmp_path / f"{name}.bin" for name in "abc"}
    for name, path in paths.items():
        path.write_bytes(name.encode() * 1000)
    return paths


def truth(files: dict[str, Path]) -> dict[str, str]:
    return {n: hashlib.sha256(path.read_bytes()).hexdigest() for n, path in files.items()}


@pytest.mark.parametrize("size", [0, 1, (1 << 22) - 1, 1 << 22, (1 << 22) + 1])
def test_a_digest_is_sha256_at_any_size(tmp_path: Path, size: int) -> None:
    (tmp_path / "f").write_bytes(os.urandom(size))
    assert file_sha256(tmp_path / "f") == hashlib.sha256((tmp_path / "f").read_bytes()).hexdigest()


def test_files_are_read_once(files: dict[str, Path], memory: Path, reads: Reads) -> None:
    assert DigestMemory(memory).sha256s(files) == truth(files)
    assert sorted(reads.paths) == sorted(files.values())
    assert DigestMemory(memory).sha256s(files) == truth(files)
    assert len(reads.paths) == 3


def test_a_bundle_is_read_at_its_first_opening_alone(
    sd15_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other user"))
    reads = Reads(monkeypatch)
    open_bundle(sd15_bundle.path)
    assert len(reads.paths) == len(sd15_bundle.manifest.files)
    open_bundle(sd15_bundle.path)
    assert len(reads.paths) == len(sd15_bundle.manifest.files)


def test_what_is_told_is_believed(files: dict[str, Path], memory: Path, reads: Reads) -> None:
    DigestMemory(memory).remember({path: truth(files)[name] for name, path in files.items()})
    assert DigestMemory(memory).sha256s(files) == truth(files)
    assert reads.paths == []


def test_a_changed_file_is_read_again(files: dict[str, Path], memory: Path, reads: Reads) -> None:
    DigestMemory(memory).sha256s(files)
    stat = files["b"].stat()
    files["b"].write_bytes(b"x" * 1000)  # the same size ...
    os.utime(files["b"], ns=(stat.st_atime_ns, stat.st_mtime_ns))  # ... and time of change
    assert DigestMemory(memory).sha256s(files) == truth(files)
    assert reads.paths[3:] == [files["b"]]


def test_a_replaced_file_is_read_again(files: dict[str, Path], memory: Path, reads: Reads) -> None:
    DigestMemory(memory).sha256s(files)
    files["c"].replace(files["a"])
    rest = {name: files[name] for name in "ab"}
    assert DigestMemory(memory).sha256s(rest) == truth(rest)


def test_a_file_that_changes_while_it_is_read_is_not_remembered(
    files: dict[str, Path], memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_and_change(path: Path) -> str:
        digest = file_sha256(path)
        path.write_bytes(b"new" * 1000)
        return digest

    one = {"a": files["a"]}
    with monkeypatch.context() as patch:
        patch.setattr(digests, "file_sha256", read_and_change)
        DigestMemory(memory).sha256s(one)
    assert DigestMemory(memory).sha256s(one) == truth(one)


@pytest.mark.parametrize("content", ["", "{", "[]", "7", "null", '{"a": 1}', "[" * 100_000, "\0"])
def test_a_broken_memory_is_forgotten(files: dict[str, Path], memory: Path, content: str) -> None:
    memory.write_text(content)
    assert DigestMemory(memory).sha256s(files) == truth(files)
    assert set(truth(files).values()) <= set(json.loads(memory.read_text()).values())


def test_a_memory_that_cannot_be_written_is_no_error(
    files: dict[str, Path], tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert DigestMemory(blocked / "digests.json").sha256s(files) == truth(files)
    assert blocked.read_text() == ""


def test_a_cache_folder_that_cannot_be_made_is_no_error(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "file"))
    assert DigestMemory().sha256s(files) == truth(files)


def test_a_user_without_a_home_is_no_error(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("LOCALAPPDATA")
    monkeypatch.setattr(Path, "home", homeless)
    assert DigestMemory().sha256s(files) == truth(files)


def test_the_memory_does_not_grow_without_end(files: dict[str, Path], memory: Path) -> None:
    memory.write_text(json.dumps({str(number): "0" for number in range(10_000)}))
    assert DigestMemory(memory).sha256s(files) == truth(files)
    kept = json.loads(memory.read_text())
    assert len(kept) <= 4096
    assert set(truth(files).values()) <= set(kept.values())


def test_a_missing_file_is_an_os_error(tmp_path: Path, memory: Path) -> None:
    with pytest.raises(FileNotFoundError):
        DigestMemory(memory).sha256s({"a": tmp_path / "absent"})
