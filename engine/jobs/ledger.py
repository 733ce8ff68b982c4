"""The ledger of an output folder: which job is done, and what its picture is. One SQLite file.

A row says "done" only after its picture is on the disk, and is on the disk itself before anybody
is told. So whatever ends the process, at most the pictures on their way are made twice, with the
seeds the ledger chose for them, to the same bytes.
"""

import errno
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sakuga.engine.jobs.ledger_file import SAKUGA, SCHEMA, check_ours, ledger_path, told_plainly
from sakuga.engine.jobs.outcome import Failed, Outcome, Written
from sakuga.engine.platform import fsync_folder, make_folder

_CACHE_KIB = 256  # of the file, in memory while pictures are rendered

# `request`: canonical JSON of all a job says, its chosen seed among it; `facts`: the same of what
# else makes its pixels. `chosen`: the number drawn where the job leaves something to chance.
# `size`: asked for, `pixels`: of the picture, both WxH. `position`: in the job file, NULL once the
# job is gone from it and its picture remains.
_TABLES = """
CREATE TABLE circumstances (id INTEGER PRIMARY KEY, facts TEXT NOT NULL UNIQUE);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, source TEXT NOT NULL, command TEXT NOT NULL,
    started REAL NOT NULL, ended REAL, fate TEXT
);
CREATE TABLE jobs (
    id TEXT PRIMARY KEY, position INTEGER, line INTEGER NOT NULL,
    request TEXT NOT NULL, chosen INTEGER, circumstances INTEGER NOT NULL REFERENCES circumstances,
    size TEXT NOT NULL, path TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'queued',
    attempts INTEGER NOT NULL DEFAULT 0, error TEXT,
    seed TEXT, parameters TEXT, pixels TEXT, size_bytes INTEGER, sha256 TEXT, mtime_ns INTEGER,
    seconds REAL, finished REAL
);
CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_NOTE = "INSERT OR REPLACE INTO notes VALUES (?, ?)"
NO_NOTES: Mapping[str, str] = {}


class Row(NamedTuple):
    """What the ledger knows of a job, as far as it takes part in deciding what is to be done."""

    id: str
    position: int | None
    line: int
    request: str
    chosen: int | None
    circumstances: int
    size: str
    path: str
    state: str
    size_bytes: int | None
    sha256: str | None
    mtime_ns: int | None


class Entry(NamedTuple):
    """A job as it is entered: to be rendered, whatever was known of it before."""

    id: str
    position: int
    line: int
    request: str
    chosen: int | None
    circumstances: int
    size: str
    path: str


class Place(NamedTuple):
    """Where in its file a job stands now."""

    position: int | None
    line: int
    id: str


class Ledger:
    """Changes of a ledger, each whole or not at all, and durable. Used by one thread.

    Everything raises OSError where the disk does not do it, OutputError where the file is damaged.
    """

    def __init__(self, folder: Path) -> None:
        """Open the ledger of an output folder that is there, or begin one."""
        self.path = ledger_path(folder)
        new = not self.path.exists()
        with told_plainly(self.path):
            make_folder(self.path.parent)
            self.connection = sqlite3.connect(self.path, isolation_level=None)
            try:
                self._set_up()
            except BaseException:
                self.connection.close()
                raise
        if new:
            fsync_folder(self.path.parent)
        self._identity = self._inode()

    @property
    def unused(self) -> bool:
        """Whether no process has rendered by it yet."""
        with told_plainly(self.path):
            return self.connection.execute("SELECT 1 FROM runs").fetchone() is None

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()

    def begin_run(self, source: str, command: str) -> int:
        """Note that a process begins to render the jobs of the file `source`."""
        with self._change() as run:
            # The jobs are entered. From here on the usual 2 MiB would fill picture by picture.
            run(f"PRAGMA cache_size = -{_CACHE_KIB}")
            found = run(
                "INSERT INTO runs (source, command, started) VALUES (?, ?, ?)",
                (source, command, time.time()),
            )
            assert found.lastrowid is not None
            return found.lastrowid

    def end_run(self, number: int, fate: str) -> None:
        """Note how it ended; a run without an end was killed, or still goes on."""
        with self._change() as run:
            run("UPDATE runs SET ended = ?, fate = ? WHERE id = ?", (time.time(), fate, number))

    def circumstances(self, facts: str) -> int:
        """The number of these facts, entered if they are new."""
        with self._change() as run:
            run("INSERT OR IGNORE INTO circumstances (facts) VALUES (?)", (facts,))
            (number,) = run("SELECT id FROM circumstances WHERE facts = ?", (facts,)).fetchone()
            return int(number)

    def enlist(
        self,
        entries: Iterable[Entry],
        again: Iterable[str],
        places: Iterable[Place],
        gone: Iterable[str],
    ) -> None:
        """In one step: jobs entered, jobs (ids) to be rendered again as they are, jobs that stand
        elsewhere in the file, and jobs (ids) that no longer do and have no picture."""
        with self._change():
            many = self.connection.executemany
            many(
                "INSERT OR REPLACE INTO jobs"
                " (id, position, line, request, chosen, circumstances, size, path)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                entries,
            )
            many("UPDATE jobs SET state = 'queued' WHERE id = ?", ((id,) for id in again))
            many("UPDATE jobs SET position = ?, line = ? WHERE id = ?", places)
            many("DELETE FROM jobs WHERE id = ?", ((id,) for id in gone))

    def keep(self, outcomes: Sequence[Outcome], notes: Mapping[str, str] = NO_NOTES) -> None:
        """What has become of jobs, and lines of text by name. Pictures are on the disk before this
        is called."""
        if self._inode() != self._identity:
            reason = "the folder with the ledger was removed or replaced"
            raise FileNotFoundError(errno.ENOENT, reason, str(self.path))
        now = time.time()
        done = [_done(each, now) for each in outcomes if isinstance(each, Written)]
        failed = [(each.text, each.task.job.id) for each in outcomes if isinstance(each, Failed)]
        with self._change():
            self.connection.executemany(
                "UPDATE jobs SET state = 'done', attempts = attempts + 1, error = NULL,"
                " seed = ?, parameters = ?, pixels = ?, size_bytes = ?, sha256 = ?, mtime_ns = ?,"
                " seconds = ?, finished = ? WHERE id = ?",
                done,
            )
            self.connection.executemany(
                "UPDATE jobs SET state = 'failed', attempts = attempts + 1, error = ? WHERE id = ?",
                failed,
            )
            self.connection.executemany(_NOTE, notes.items())

    def touched(self, times: Iterable[tuple[int, str]]) -> None:
        """Files (mtime_ns, id) that are what was written and have another time."""
        with self._change():
            self.connection.executemany("UPDATE jobs SET mtime_ns = ? WHERE id = ?", times)

    def note(self, name: str, value: str) -> None:
        """Keep a line of text under a name."""
        self.note_all({name: value})

    def note_all(self, notes: Mapping[str, str]) -> None:
        """Keep lines of text by name."""
        with self._change():
            self.connection.executemany(_NOTE, notes.items())

    def forget(self, name: str) -> None:
        """Keep nothing under a name."""
        with self._change() as run:
            run("DELETE FROM notes WHERE name = ?", (name,))

    @contextmanager
    def _change(self) -> Iterator[Callable[..., sqlite3.Cursor]]:
        with told_plainly(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection.execute
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def _set_up(self) -> None:
        check_ours(self.connection, self.path)
        run = self.connection.execute
        # Where the file system cannot do this, SQLite keeps its rollback journal: as durable.
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")
        with self._change():
            if not run("SELECT 1 FROM sqlite_master").fetchone():
                for statement in _TABLES.split(";"):
                    run(statement)
                run(f"PRAGMA application_id = {SAKUGA}")
                run(f"PRAGMA user_version = {SCHEMA}")

    def _inode(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino


def _done(written: Written, now: float) -> tuple[object, ...]:
    return (
        str(written.seed),
        written.parameters,
        written.pixels,
        written.size_bytes,
        written.sha256,
        written.mtime_ns,
        written.seconds,
        now,
        written.task.job.id,
    )
