"""The pictures that jobs begin from: whether they are still those that pictures were made of.

A job says where they lie, and a picture's settings hold their hashes. So a file is read when its
turn comes, and again only where its size or time is not what the ledger remembers: a hundred
thousand of them cost a look at each.
"""

import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sakuga.engine.errors import PictureFileError
from sakuga.engine.image.source import Source
from sakuga.engine.jobs.job import Job
from sakuga.engine.jobs.ledger import Ledger
from sakuga.engine.jobs.outcome import Outcome, Written
from sakuga.engine.jobs.records import notes_like, parameters_with
from sakuga.engine.runtime.stage_facts import INIT_HASH, MASK_HASH

_NOTE = "input "  # what the ledger remembers of a file, by its path
_TOLD = re.compile(rf"(?:^|, )({INIT_HASH}|{MASK_HASH}): ([0-9a-f]+)(?=,|$)")
_DIGITS = 10


@dataclass
class Inputs:
    """`remembered`: size, time and hash of files, by path; `told`: what the settings of pictures
    that are done say of theirs, by job id and key. `gone`: files that are no longer there."""

    remembered: dict[str, str]
    told: Mapping[str, Mapping[str, str]]
    gone: list[str] = field(default_factory=list[str])
    _stamps: dict[str, str | None] = field(default_factory=dict[str, "str | None"])
    _new: dict[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(cls, ledger: Ledger, jobs: Iterable[Job]) -> "Inputs":
        """Those of jobs that may be in a ledger, which is asked only where a job has any."""
        if not any(job.request.init for job in jobs):
            return cls({}, {})
        found = parameters_with(ledger.connection, INIT_HASH)
        told = {id: dict(_TOLD.findall(text.rpartition("\n")[2])) for id, text in found}
        return cls(notes_like(ledger.connection, _NOTE), told)

    def require(self, job: Job) -> None:
        """Raise PictureFileError where a file of the job is not there, or none that ends."""
        for path in _files(job).values():
            if self._stamp(path) is None:
                raise PictureFileError(
                    f"{path} is no file that can be read.",
                    note="A path of a job file counts from that file's folder.",
                    hint="Check the path, or put the picture there.",
                )

    def changes(self, job: Job) -> tuple[str, ...]:
        """Which of the job's files are not what its picture was made of, in words."""
        told, found = self.told.get(job.id, {}), list[str]()
        for key, path in _files(job).items():
            here = self._hash(path)
            if here is None:
                self.gone.append(str(path))
            elif here != told.get(key, "")[:_DIGITS]:
                found.append(f"{key}: {told.get(key) or 'none'} then, {here} now ({path})")
        return tuple(found)

    def notes(self, outcomes: Iterable[Outcome] = ()) -> dict[str, str]:
        """Lines for the ledger: what was read since they were last asked for, and the files of
        pictures made meanwhile, which are the same as before their turn."""
        for outcome in outcomes:
            if isinstance(outcome, Written):
                self._remember(outcome)
        found, self._new = self._new, {}
        return {_NOTE + path: line for path, line in found.items()}

    def _remember(self, written: Written) -> None:
        told = dict(_TOLD.findall(written.parameters.rpartition("\n")[2]))
        for key, path in _files(written.task.job).items():
            before, name = self._stamp(path), _name(path)
            digest = told.get(key)
            if digest and before and before == _stamp(path):
                self._keep(name, before, digest[:_DIGITS])

    def _hash(self, path: Path) -> str | None:
        """The first digits of a file's hash, read where they are not remembered."""
        name, stamp = _name(path), self._stamp(path)
        if stamp is None:
            return None
        before, _, digest = self.remembered.get(name, "").rpartition(" ")
        if before == stamp:
            return digest
        digest = Source(path).digest[:_DIGITS]
        self._keep(name, stamp, digest)
        return digest

    def _keep(self, name: str, stamp: str, digest: str) -> None:
        line = f"{stamp} {digest}"
        if self.remembered.get(name) != line:
            self.remembered[name] = self._new[name] = line

    def _stamp(self, path: Path) -> str | None:
        """As it was when it was first looked at."""
        name = _name(path)
        if name not in self._stamps:
            self._stamps[name] = _stamp(path)
        return self._stamps[name]


def _files(job: Job) -> dict[str, Path]:
    """The files of a job by the keys of their hashes."""
    return {key: each.origin for key, each in _sources(job) if isinstance(each.origin, Path)}


def _sources(job: Job) -> Iterator[tuple[str, Source]]:
    init = job.request.init
    if init is not None:
        yield INIT_HASH, init.picture
        if init.mask is not None:
            yield MASK_HASH, init.mask.picture


def _name(path: Path) -> str:
    return str(path.absolute())


def _stamp(path: Path) -> str | None:
    """Size and time, None where it is no file."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return f"{found.st_size} {found.st_mtime_ns}" if stat.S_ISREG(found.st_mode) else None
