"""Where a bundle is made: a hidden folder beside its place, under a lock."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sakuga.engine.errors import BuildError
from sakuga.engine.platform import exclusive, fsync_file, fsync_folder


@contextmanager
def workshop(target: Path) -> Iterator[Path]:
    """A locked hidden folder beside the target; one that a killed build left is cleared first."""
    folder = target.with_name(f".{target.name}.building")
    with _parents(target), exclusive(target.with_name(f".{target.name}.lock")):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def disk_failures(target: Path) -> Iterator[None]:
    """Tell of what the disk refuses as a build that failed. Raises BuildError."""
    try:
        yield
    except OSError as error:
        raise BuildError(
            f"The build failed: {error.strerror or error}.",
            note=f"It happened at {error.filename or target.parent}; {target.name} is as it was.",
            hint="Check space and permissions there, or choose another --out, and build again.",
        ) from error


def settle(folder: Path) -> None:
    """Force all of a folder to the disk: its files, then the folders they lie in."""
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            fsync_file(Path(place) / name)
        fsync_folder(Path(place))


@contextmanager
def _parents(target: Path) -> Iterator[None]:
    """The folders above the target; those made here are gone again after a failure."""
    missing = [folder for folder in target.parents if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        with suppress(OSError):  # somebody else uses them by now
            for folder in missing:
                folder.rmdir()
        raise
