"""A bundle on a machine that does not see it: copied there once, whoever asks first."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import sleep

from sakuga.engine.bundle import open_bundle
from sakuga.engine.digests import DigestMemory
from sakuga.engine.errors import BundleDamagedError, BundleError, BusyError
from sakuga.engine.manifest import MANIFEST, Manifest, parse_manifest
from sakuga.engine.platform import exclusive, fsync_folder, replace_folder

Pieces = Callable[[str], Iterator[bytes]]  # of a file of the bundle, by its name there

_LOOK_AGAIN_S = 0.2


def placed_bundle(folder: Path, name: str, manifest: str, pieces: Pieces) -> Path:
    """The whole bundle of this manifest (its text) below `folder`, `name` being how to call it.

    Of several processes that ask at once, one copies and the others wait. A copy that was damaged
    is made anew. Raises BundleDamagedError where other bytes arrive than the manifest says, and
    BundleError where the disk does not take them.
    """
    digest = hashlib.sha256(manifest.encode()).hexdigest()
    target = folder / f"{name}-{digest[:16]}.sakuga"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while not _whole(target):
            try:
                with exclusive(folder / f".{target.name}.lock"):
                    if not _whole(target):
                        _copy(target, manifest, pieces)
            except BusyError:
                sleep(_LOOK_AGAIN_S)
    except OSError as error:
        raise BundleError(
            f"The bundle could not be copied to {target}: {error.strerror or error}.",
            note=f"{_size_bytes(parse_manifest(manifest)) / 1e9:.2f} GB go into the cache folder.",
            hint="Free space there, set XDG_CACHE_HOME to another folder where Ray is started, or "
            "put the bundle where every machine sees it under the same path.",
        ) from error
    return target


def _whole(target: Path) -> bool:
    try:
        open_bundle(target)
    except BundleError:
        return False
    return True


def _copy(target: Path, text: str, pieces: Pieces) -> None:
    manifest, new = parse_manifest(text), target.with_name(f".{target.name}.part")
    shutil.rmtree(new, ignore_errors=True)  # of a process that was killed
    new.mkdir()
    try:
        for name, entry in manifest.files.items():
            digest = _write(new / name, pieces(name))
            if digest != entry.sha256:
                raise BundleDamagedError(
                    f"{name} of the bundle arrived with other bytes than were built.",
                    note=f"SHA-256 {digest[:10]}…, the manifest has {entry.sha256[:10]}….",
                    hint="The bundle changed meanwhile, or is damaged: build it again.",
                )
        _write(new / MANIFEST, iter([text.encode()]))
        for place, _, _ in os.walk(new, topdown=False):
            fsync_folder(Path(place))
        replace_folder(new, target)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    with suppress(OSError):  # who cannot remember reads it again
        DigestMemory().remember(
            {target / name: entry.sha256 for name, entry in manifest.files.items()}
        )


def _write(path: Path, pieces: Iterator[bytes]) -> str:
    """Write a file, durably; its SHA-256."""
    digest = hashlib.sha256()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        for piece in pieces:
            file.write(piece)
            digest.update(piece)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _size_bytes(manifest: Manifest) -> int:
    return sum(entry.size_bytes for entry in manifest.files.values())
