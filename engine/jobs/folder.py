"""An output folder: whose it is, what lies in it, what a killed process left there."""

import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from time import sleep

from sakuga.engine.digests import file_sha256
from sakuga.engine.errors import BusyError, OutputError, SakugaError, StoppedError
from sakuga.engine.jobs.ledger import Ledger, Row
from sakuga.engine.jobs.ledger_file import PRIVATE
from sakuga.engine.platform import exclusive, fsync_folder, leftover_of, make_folder

_LOCK = "lock"
_ASIDE = "changed"  # where pictures go that are no longer what was written
_FULL = (errno.ENOSPC, errno.EDQUOT)


def lock_of(out: Path) -> Path:
    """The lock that a process holds while it renders into the folder."""
    return out / PRIVATE / _LOCK


@contextmanager
def claimed(out: Path) -> Iterator[Ledger]:
    """The ledger of a folder, for the block this process's alone. The folder is made if need be,
    and gone again where the block ends before anything was entered.

    Raises OutputError where it cannot be written or another process renders into it, StoppedError
    where the disk is full.
    """
    made = [each for each in (out / PRIVATE, out, *out.parents) if not each.exists()]
    unused = False
    try:
        with ExitStack() as stack:
            try:
                make_folder(out / PRIVATE)
                stack.enter_context(_lock(out))
                ledger = Ledger(out)
            except OSError as error:
                raise _unusable(out, error) from error
            stack.callback(ledger.close)
            try:
                yield ledger
            finally:
                unused = ledger.unused
    finally:
        if unused:
            _remove(made)


def _remove(folders: list[Path]) -> None:
    """The private folder with all that is in it, and those above it that hold nothing else."""
    with suppress(OSError):
        for folder in folders:
            if folder.name == PRIVATE:
                shutil.rmtree(folder)
            else:
                folder.rmdir()


@contextmanager
def _lock(out: Path) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive(lock_of(out)))
        except BusyError:
            sleep(0.1)  # somebody may only have looked whether it is held
            try:
                stack.enter_context(exclusive(lock_of(out)))
            except BusyError as error:
                raise OutputError(
                    f"Another process renders into {out}.",
                    note=error.note,
                    hint=f"Wait for it, or see how far it is: sakuga render --status {out}",
                ) from error
        yield


def _unusable(out: Path, error: OSError) -> SakugaError:
    kind = StoppedError if error.errno in _FULL else OutputError
    return kind(
        f"Nothing can be written into {out}: {error.strerror or error}.",
        note="Nothing was rendered.",
        hint="Free space, then run the command again."
        if kind is StoppedError
        else "Give another folder with --out, or the right to write into this one.",
    )


@dataclass
class Found:
    """What of the pictures that are done is still there (ids).

    `missing`: no file. `altered`: another file than was written. `touched`: the same bytes with
    another time (mtime_ns).
    """

    missing: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    touched: list[tuple[int, str]] = field(default_factory=list)


class Contents:
    """The files of an output folder, as they were when it was looked into.

    `paths`: of the pictures it may hold, which say which of its own folders to look into.
    """

    def __init__(self, out: Path, paths: Iterable[str]) -> None:
        self._out = out
        self._paths = set(paths)
        folders = {str(PurePosixPath(path).parent) for path in self._paths if "/" in path}
        self._files: dict[str, os.DirEntry[str]] = {}
        for prefix, folder in [("", out), *((f"{name}/", out / name) for name in folders)]:
            if folder.is_dir():
                with os.scandir(folder) as entries:
                    self._files.update((prefix + entry.name, entry) for entry in entries)

    def clear_leftovers(self, others: Iterable[str]) -> int:
        """Remove what killed processes left of the pictures, and of `others`; how many that was."""
        wanted = {*self._paths, *others}
        gone = 0
        for path, entry in self._files.items():
            if entry.name.startswith(".") and (name := leftover_of(entry.name)):
                target = path[: -len(entry.name)] + name
                if target in wanted:
                    Path(entry.path).unlink(missing_ok=True)
                    gone += 1
        return gone

    def look(self, done: Iterable[Row], verify: bool) -> Found:
        """Which pictures are still what was written: by size and time, and where these differ, or
        everywhere with `verify`, by their bytes."""
        found, doubtful = Found(), dict[str, tuple[Row, int]]()
        for row in done:
            entry = self._files.get(row.path)
            if entry is None or not entry.is_file():
                found.missing.append(row.id)
                continue
            status = entry.stat()
            if status.st_size != row.size_bytes:
                found.altered.append(row.id)
            elif verify or status.st_mtime_ns != row.mtime_ns:
                doubtful[row.id] = row, status.st_mtime_ns
        self._read(doubtful, found)
        return found

    def _read(self, doubtful: Mapping[str, tuple[Row, int]], found: Found) -> None:
        paths = [self._out / row.path for row, _ in doubtful.values()]
        with ThreadPoolExecutor() as pool:
            digests = pool.map(file_sha256, paths)
            for (row, mtime_ns), digest in zip(doubtful.values(), digests, strict=True):
                if digest != row.sha256:
                    found.altered.append(row.id)
                elif mtime_ns != row.mtime_ns:
                    found.touched.append((mtime_ns, row.id))


def set_aside(out: Path, row: Row) -> Path:
    """Move away a picture that is not what was written: somebody may have worked on it."""
    place = out / PRIVATE / _ASIDE
    make_folder(place)
    number, path = 0, place / PurePosixPath(row.path).name
    while path.exists():
        number += 1
        path = place / f"{number}-{PurePosixPath(row.path).name}"
    (out / row.path).rename(path)
    fsync_folder(place)
    return path
