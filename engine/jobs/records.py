"""What a ledger says: questions of those who render, and of those who look."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sakuga.engine.errors import UsageError
from sakuga.engine.jobs.ledger import Row
from sakuga.engine.jobs.ledger_file import check_ours, ledger_path, told_plainly

LISTED = "position IS NOT NULL"  # of jobs that are still in the job file


class Count(NamedTuple):
    """How many jobs of one size are in one state: queued, done or failed."""

    size: str
    state: str
    jobs: int


class Done(NamedTuple):
    """A picture that is done. `pixels`: its size, WxH; the file's are `size_bytes` and `sha256`."""

    id: str
    path: str
    seed: str
    pixels: str
    parameters: str
    size_bytes: int
    sha256: str


class Failure(NamedTuple):
    """A job that failed."""

    id: str
    line: int
    attempts: int
    error: str


@dataclass(frozen=True)
class Run:
    """A process that rendered, or still does. Times in seconds since 1970; `ended` and `fate` None
    where it was killed or still goes on."""

    source: str
    command: str
    started: float
    ended: float | None
    fate: str | None


@contextmanager
def opened_to_read(out: Path) -> Iterator[sqlite3.Connection]:
    """The ledger of an output folder, while somebody renders or not.

    Raises UsageError where the folder has none, OutputError where it is damaged.
    """
    path = ledger_path(out)
    if not path.is_file():
        raise UsageError(
            f"There is no ledger in {out}.",
            note="Sakuga keeps one in every folder it renders a job file into.",
            hint="Give the folder that was the --out of `sakuga render … --jobs FILE`.",
        )
    with (
        told_plainly(path),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection,
    ):
        check_ours(connection, path)
        yield connection


def rows(connection: sqlite3.Connection) -> dict[str, Row]:
    """Every job the ledger knows, by id."""
    columns = ", ".join(Row._fields)
    return {row[0]: Row._make(row) for row in connection.execute(f"SELECT {columns} FROM jobs")}


def known_facts(connection: sqlite3.Connection) -> dict[int, str]:
    """The facts of all circumstances, by their numbers."""
    return dict(connection.execute("SELECT id, facts FROM circumstances"))


def last_run(connection: sqlite3.Connection) -> Run | None:
    """The newest run, None before the first."""
    columns = "source, command, started, ended, fate"
    found = connection.execute(f"SELECT {columns} FROM runs ORDER BY id DESC LIMIT 1").fetchone()
    return Run(*found) if found else None


def counts(connection: sqlite3.Connection) -> list[Count]:
    """Jobs by size and state, the most frequent size first."""
    found = connection.execute(
        f"SELECT size, state, COUNT(*) FROM jobs WHERE {LISTED} GROUP BY size, state"
    )
    each = [Count._make(row) for row in found]
    of_size: dict[str, int] = {}
    for count in each:
        of_size[count.size] = of_size.get(count.size, 0) + count.jobs
    return sorted(each, key=lambda count: (-of_size[count.size], count.size, count.state))


def done(connection: sqlite3.Connection) -> Iterator[Done]:
    """Every picture that is done, in the job file's order."""
    columns = ", ".join(Done._fields)
    found = connection.execute(
        f"SELECT {columns} FROM jobs WHERE state = 'done' AND {LISTED} ORDER BY position"
    )
    yield from map(Done._make, found)


def parameters_with(connection: sqlite3.Connection, key: str) -> Iterator[tuple[str, str]]:
    """Ids and settings of pictures that are done and whose settings hold a key's name."""
    yield from connection.execute(
        "SELECT id, parameters FROM jobs WHERE state = 'done' AND INSTR(parameters, ?)", (key,)
    )


def failures(connection: sqlite3.Connection, most: int) -> list[Failure]:
    """Jobs that failed, in the job file's order, at most so many."""
    found = connection.execute(
        f"SELECT id, line, attempts, error FROM jobs WHERE state = 'failed' AND {LISTED}"
        " ORDER BY position LIMIT ?",
        (most,),
    )
    return [Failure._make(row) for row in found]


def rate(connection: sqlite3.Connection, since: float, newest: int = 200) -> float | None:
    """Pictures a second over the newest ones since a time; None where there are too few. Several
    are often finished at once, so a start says more than the first of few."""
    found = connection.execute(
        "SELECT COUNT(*), MIN(finished), MAX(finished) FROM (SELECT finished FROM jobs"
        " WHERE finished >= ? ORDER BY finished DESC LIMIT ?)",
        (since, newest),
    ).fetchone()
    number, first, last = found
    if number < 2:
        return None
    made, begun = (number, since) if number < newest else (number - 1, first)
    return made / (last - begun) if last > begun else None


def notes_like(connection: sqlite3.Connection, start: str) -> dict[str, str]:
    """The lines under all names with this start, which is taken off."""
    found = connection.execute(
        "SELECT SUBSTR(name, ?), value FROM notes WHERE SUBSTR(name, 1, ?) = ?",
        (len(start) + 1, len(start), start),
    )
    return dict(found.fetchall())


def noted(connection: sqlite3.Connection, name: str) -> str | None:
    """The line of text under a name, None where there is none."""
    found = connection.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
    return None if found is None else str(found[0])
