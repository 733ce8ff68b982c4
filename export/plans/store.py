"""Finished plans by key, in the user's private cache: a build goes on where another was stopped.

One process builds a key while others wait for it; its lock dies with it, so a killed builder is
replaced at once. What is half-built lies under a temporary name that the next builder clears.
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
from sakuga.export.plans.builder import PlanFacts
from sakuga.export.plans.key import PlanKey
from sakuga.export.scan import Scan

_POLL_S = 0.2
_UNUSED_S = 14 * 24 * 3600  # plans not asked for this long are forgotten


@dataclass(frozen=True)
class Record:
    """What is known of a plan: what came of building it, and the scan of its graph before."""

    facts: PlanFacts
    scan: Scan


@dataclass(frozen=True)
class Stored:
    """A plan in the store; `reused`: it was there already."""

    path: Path
    record: Record
    reused: bool


# Given where to write the plan and where its log; says what came of it.
Build = Callable[[Path, Path], Record]


class PlanStore:
    """Plans in a folder of mode 0700 below the user's cache folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder() / "plans"
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def take(self, key: PlanKey, build: Build, waiting: Callable[[], None]) -> Stored:
        """The plan of a key, from here or built now; `waiting` is told when another builds it.

        Raises what `build` raises; nothing of a failed build is kept but its log.
        """
        name = key.digest[:32]
        told = False
        while True:
            if found := self._found(name):
                return found
            try:
                with exclusive(self.folder / f"{name}.lock"):
                    return self._found(name) or self._built(name, build)
            except BusyError:
                if not told:
                    waiting()
                told = True
                time.sleep(_POLL_S)

    def forget_unused(self) -> None:
        """Remove plans nobody has asked for in two weeks, and what killed builders left."""
        for path in sorted(self.folder.iterdir()):
            facts = path.with_suffix(".json")
            with suppress(FileNotFoundError):  # another process tidies up too
                asked = (facts if facts.exists() else path).stat().st_mtime
                if path.suffix == ".half":
                    with suppress(BusyError), exclusive(path.with_suffix(".lock")):
                        path.unlink()
                elif path.suffix != ".lock" and time.time() - asked > _UNUSED_S:
                    path.unlink()

    def _found(self, name: str) -> Stored | None:
        """A whole plan of this name; a damaged one is removed."""
        plan, facts = self.folder / f"{name}.plan", self.folder / f"{name}.json"
        try:
            raw = json.loads(facts.read_text(encoding="utf-8"))
            known = Record(PlanFacts(**raw["facts"]), Scan(**raw["scan"]))
            whole = DigestMemory().sha256s({name: plan})[name] == known.facts.sha256
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return None
        if not whole:
            plan.unlink(missing_ok=True)
            facts.unlink(missing_ok=True)
            return None
        os.utime(facts)
        return Stored(plan, known, reused=True)

    def _built(self, name: str, build: Build) -> Stored:
        plan, half = self.folder / f"{name}.plan", self.folder / f"{name}.half"
        half.unlink(missing_ok=True)
        try:
            record = build(half, self.folder / f"{name}.log")
            fsync_file(half)
            half.replace(plan)
        finally:
            half.unlink(missing_ok=True)
        DigestMemory().remember({plan: record.facts.sha256})
        write_file_atomic(self.folder / f"{name}.json", json.dumps(asdict(record)).encode())
        return Stored(plan, record, reused=False)


def put(stored: Stored, target: Path) -> None:
    """Give a plan a second name inside a bundle; a copy where the file systems differ."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(stored.path, target)
    except OSError:
        shutil.copyfile(stored.path, target)
