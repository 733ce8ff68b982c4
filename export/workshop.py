"""Where a bundle is made: a hidden folder beside its place, under a lock."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sakuga.engine.platform import exclusive


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
