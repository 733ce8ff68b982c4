"""A bundle where it is not seen: copied once, whole or not at all."""

import errno
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sakuga.engine.bundle import Bundle, open_bundle
from sakuga.engine.errors import BundleDamagedError, BundleError
from sakuga.engine.jobs.cluster.bundle_copy import placed_bundle


class Source:
    """The files of a bundle in pieces, and how often each was asked for."""

    def __init__(self, bundle: Bundle) -> None:
        self.manifest = bundle.manifest.to_json()
        self.asked = Counter[str]()
        self._path = bundle.path

    def __call__(self, name: str) -> Iterator[bytes]:
        """A thousand bytes and more at a time."""
        self.asked[name] += 1
        data = (self._path / name).read_bytes()
        yield from (data[start : start + 100_000] for start in range(0, len(data), 100_000))


@pytest.fixture
def source(sdxl_bundle: Bundle) -> Source:
    return Source(sdxl_bundle)


def place(folder: Path, source: Source) -> Path:
    return placed_bundle(folder, "anime", source.manifest, source)


def test_a_copy_is_the_bundle(source: Source, sdxl_bundle: Bundle, tmp_path: Path) -> None:
    path = place(tmp_path / "bundles", source)
    assert path.name.startswith("anime-") and path.suffix == ".sakuga"
    assert open_bundle(path).manifest == sdxl_bundle.manifest
    assert list(path.parent.iterdir()) == [path]
    assert source.asked == dict.fromkeys(sdxl_bundle.manifest.files, 1)
    assert place(tmp_path / "bundles", source) == path
    assert set(source.asked.values()) == {1}


def test_of_many_that_ask_one_copies(source: Source, tmp_path: Path) -> None:
    together = threading.Barrier(4)

    def ask(_: int) -> Path:
        together.wait()
        return place(tmp_path, source)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(4)))) == 1
    assert set(source.asked.values()) == {1}


def test_a_damaged_copy_is_made_anew(source: Source, tmp_path: Path) -> None:
    path = place(tmp_path, source)
    largest = max(path.rglob("*"), key=lambda each: each.stat().st_size)
    largest.write_bytes(b"x")
    assert place(tmp_path, source) == path
    open_bundle(path)
    assert set(source.asked.values()) == {2}


def test_a_copy_of_a_process_that_was_killed_is_begun_again(source: Source, tmp_path: Path) -> None:
    path = place(tmp_path / "first", source)
    part = tmp_path / f".{path.name}.part"
    (part / "unet").mkdir(parents=True)
    (part / "unet" / "model.onnx").write_bytes(b"half")
    open_bundle(place(tmp_path, source))
    assert not part.exists()


def test_other_bytes_are_refused(source: Source, tmp_path: Path) -> None:
    def wrong(name: str) -> Iterator[bytes]:
        yield from (b"" for _ in source(name))

    with pytest.raises(BundleDamagedError, match="arrived with other bytes"):
        placed_bundle(tmp_path, "anime", source.manifest, wrong)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(source: Source, tmp_path: Path) -> None:
    def full(name: str) -> Iterator[bytes]:
        yield next(source(name))
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(BundleError, match="No space left on device") as error:
        placed_bundle(tmp_path, "anime", source.manifest, full)
    assert "XDG_CACHE_HOME" in error.value.hint
    assert list(tmp_path.iterdir()) == []
