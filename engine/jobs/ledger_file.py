"""The file of a ledger: where it lies, whether it is one, how its errors read."""

import errno
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sakuga.engine.errors import OutputError

PRIVATE = ".sakuga"  # the folder in an output folder that is nobody's but ours
SCHEMA = 1
SAKUGA = 0x53414B55  # SQLite's application id: "SAKU"
_FILE = "ledger.sqlite"
_LEAST_BYTES = 1 << 18  # free, that a ledger needs to be opened


def ledger_path(folder: Path) -> Path:
    """Where the ledger of an output folder lies."""
    return folder / PRIVATE / _FILE


def check_ours(connection: sqlite3.Connection, path: Path) -> None:
    """Raises OutputError where a file that is there is no ledger, or one of a later Sakuga."""
    ((sakuga,), (schema,)) = (
        connection.execute(f"PRAGMA {name}").fetchone()
        for name in ("application_id", "user_version")
    )
    if schema > SCHEMA:
        raise OutputError(
            f"The ledger {path} was written by a newer Sakuga.",
            note=f"It has schema {schema}, this version reads up to {SCHEMA}.",
            hint="Upgrade Sakuga, or render into another folder.",
        )
    if sakuga != SAKUGA and connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        raise _damaged(path, "it is another program's database")


@contextmanager
def told_plainly(path: Path) -> Iterator[None]:
    """Within the block SQLite's errors become OSError, or OutputError for a damaged file."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise _damaged(path, str(error)) from error
        if not isinstance(error, sqlite3.OperationalError):
            raise
        number = _NUMBERS.get(code, errno.EIO)
        if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR):
            number = _refusal(path.parent) or number
        if number != errno.EROFS and _is_full(path):  # of which SQLite does not always know
            number = errno.ENOSPC
        raise OSError(number, f"{os.strerror(number)} (SQLite: {error})", str(path)) from error


_NUMBERS = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
    sqlite3.SQLITE_PERM: errno.EACCES,
}


def _refusal(folder: Path) -> int | None:
    """Why no file can be made safe in a folder, None where one can. SQLite does not say what the
    system told it; disks also run out of files, and users out of their quota."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"-")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno
    return None


def _is_full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < _LEAST_BYTES
    except OSError:
        return False


def _damaged(path: Path, what: str) -> OutputError:
    return OutputError(
        f"The ledger {path} is damaged.",
        note=f"{what[0].upper()}{what[1:]}. The pictures beside it are untouched.",
        hint="Render into another folder; or move the ledger away, and all is rendered again.",
    )
