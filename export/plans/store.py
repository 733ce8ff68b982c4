"""Finished plans by key, in the user's private cache: a build goes on where another was stopped.

One process builds a key while others wait for it; its lock dies with it, so a killed builder is
replaced at once. What is half-built lies under a name of its own that the next builder clears.
"""

import json
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from sakuga.engine.digests import DigestMemory
from sakuga.engine.errors import BusyError
from sakuga.engine.platform import cache_folder, exclusive, fsync_file, write_file_atomic
from sakuga.export.plans.key import PlanKey, read_key
from sakuga.export.plans.worker import Record, read_record

_POLL_S = 0.2
_UNUSED_S = 14 * 24 * 3600  # plans not asked for this long are forgotten

# Given where to write the plan and where its log; says what came of it.
Build = Callable[[Path, Path], Record]


@dataclass(frozen=True)
class Stored:
    """A plan in the store; `reused`: it was there already."""

    path: Path
    record: Record
    reused: bool


class PlanStore:
    """Plans in a folder of mode 0700 below the user's cache folder.

    Each is a `.plan` with a `.json` beside it, which is written last and holds key and record; a
    `.log` is TensorRT's, a `.half` is being written, a `.lock` is held by who writes it.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder() / "plans"
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def has(self, key: PlanKey) -> bool:
        """Whether a plan of this key is here; its bytes are not looked at."""
        return self._path(key, ".json").exists() and self._path(key, ".plan").exists()

    def donor(self, key: PlanKey) -> Stored | None:
        """A whole plan that differs from `key` in nothing but its weights, and can take others."""
        if not key.refittable:
            return None
        for facts in sorted(self.folder.glob("*.json")):
            with suppress(OSError, ValueError, KeyError, TypeError):
                fields = json.loads(facts.read_text(encoding="utf-8"))["key"]
                other = read_key(fields)
                same = other.digest_without_weights == key.digest_without_weights
                if same and (found := self._found(other)):
                    return found
        return None

    def take(self, key: PlanKey, build: Build, waiting: Callable[[], None]) -> Stored:
        """The plan of a key, from here or built now; `waiting` is told when another builds it.

        Raises what `build` raises; nothing of a failed build is kept but its log.
        """
        told = False
        while True:
            if found := self._found(key):
                return found
            try:
                with exclusive(self._path(key, ".lock")):
                    return self._found(key) or self._built(key, build)
            except BusyError:
                if not told:
                    waiting()
                told = True
                time.sleep(_POLL_S)

    def forget_unused(self) -> None:
        """Remove plans nobody has asked for in two weeks, and what killed builders left."""
        for name in sorted({_name(path) for path in self.folder.iterdir()}):
            with suppress(OSError, BusyError), exclusive(self.folder / f"{name}.lock"):
                facts = self.folder / f"{name}.json"
                kept = facts.exists() and _age(facts) < _UNUSED_S
                for path in [*self.folder.glob(f"{name}.*"), *self.folder.glob(f".{name}.*")]:
                    log = path.suffix == ".log" and _age(path) < _UNUSED_S
                    if not kept and not log and path.suffix != ".lock":
                        path.unlink()

    def _path(self, key: PlanKey, suffix: str) -> Path:
        return self.folder / f"{key.digest[:32]}{suffix}"

    def _found(self, key: PlanKey) -> Stored | None:
        """A whole plan, None where there is none or a damaged one."""
        plan, facts = self._path(key, ".plan"), self._path(key, ".json")
        try:
            record = read_record(json.loads(facts.read_text(encoding="utf-8")))
            whole = DigestMemory().sha256s({"": plan})[""] == record.facts.sha256
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return None
        if not whole:
            return None
        with suppress(OSError):
            os.utime(facts)  # it has been asked for
        return Stored(plan, record, reused=True)

    def _built(self, key: PlanKey, build: Build) -> Stored:
        """Build in the lock's protection; a damaged plan of the key is replaced."""
        plan, half, facts = (self._path(key, suffix) for suffix in (".plan", ".half", ".json"))
        facts.unlink(missing_ok=True)
        half.unlink(missing_ok=True)
        try:
            record = build(half, self._path(key, ".log"))
            fsync_file(half)
            half.replace(plan)
        finally:
            half.unlink(missing_ok=True)
        DigestMemory().remember({plan: record.facts.sha256})
        write_file_atomic(facts, json.dumps({"key": asdict(key), **asdict(record)}).encode())
        return Stored(plan, record, reused=False)


def put(stored: Stored, target: Path) -> None:
    """Give a plan a second name inside a bundle; a copy where the file systems differ."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(stored.path, target)
    except OSError:
        shutil.copyfile(stored.path, target)
    # A link changes the times a digest is remembered by.
    sha256 = stored.record.facts.sha256
    DigestMemory().remember({stored.path: sha256, target: sha256})


def _name(path: Path) -> str:
    """The plan a file of the store belongs to, temporary ones among them."""
    return path.name.lstrip(".").partition(".")[0]


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime
