"""Shares of a job file in one folder, rendered by processes of their own: how they stand, and that
nothing else is in it."""

import re
from dataclasses import dataclass
from pathlib import Path

from sakuga.engine.errors import OutputError
from sakuga.engine.jobs.ledger_file import ledger_path
from sakuga.engine.jobs.shard import Shard
from sakuga.engine.jobs.status import Status, read_status

_NAME = re.compile(r"([0-9]+)-of-([0-9]+)")  # as `Shard` writes itself


@dataclass(frozen=True)
class ShardStatus:
    """`shares` that have begun, by their number; `parts`: how many there are in all."""

    out: Path
    parts: int
    shares: dict[int, Status]

    def as_json(self) -> dict[str, object]:
        """For programs: sums, and each share as `Status` has it."""
        return {
            **self._sums(),
            "begun": len(self.shares),
            "shares": self.parts,
            "each": {str(part): status.as_json() for part, status in self.shares.items()},
        }

    def lines(self) -> list[str]:
        """For people: each share, then sums."""
        sums = self._sums()
        return [
            *(line for status in self.shares.values() for line in status.lines()),
            f"{self.out}: {len(self.shares)} of {self.parts} shares have begun; of their "
            f"{sums['jobs']:,} jobs {sums['done']:,} done, {sums['failed']:,} failed, "
            f"{sums['queued']:,} queued",
        ]

    def _sums(self) -> dict[str, int]:
        tallies = [status.tally for status in self.shares.values()]
        return {
            "running": sum(status.running for status in self.shares.values()),
            "jobs": sum(tally.total for tally in tallies),
            "done": sum(tally.done for tally in tallies),
            "failed": sum(tally.failed for tally in tallies),
            "queued": sum(tally.queued for tally in tallies),
        }


def read_shards(out: Path) -> ShardStatus | None:
    """How the shares in a folder stand; None where it holds none. Of several divisions the one
    with the most shares is told."""
    found = _shares(out)
    if not found or ledger_path(out).exists():
        return None
    parts = max(found)[0]
    shares = {part: read_status(path) for of, part, path in sorted(found) if of == parts}
    return ShardStatus(out, parts, shares)


def check_division(out: Path, shard: Shard | None) -> None:
    """Raises OutputError where a folder has begun another division of its jobs: shares of another
    number, or all of them at once. Their pictures would be made twice and counted apart."""
    parts = 0 if shard is None else shard.parts
    others = {of for of, _, _ in _shares(out)} - {parts}
    if shard is not None and ledger_path(out).exists():
        others.add(0)
    if others:
        asked, there = (_division(each) for each in (parts, max(others)))
        raise OutputError(
            f"{out} holds {there}, and cannot take {asked} besides.",
            note="The pictures of both would be made twice.",
            hint="Go on as it was begun, or give another folder with --out.",
        )


def _division(parts: int) -> str:
    return f"shares of {parts}" if parts else "all jobs of a file in one folder"


def _shares(out: Path) -> list[tuple[int, int, Path]]:
    """Those that have begun: of how many, which, and its folder."""
    if not out.is_dir():
        return []
    return [
        (int(match[2]), int(match[1]), path)
        for path in out.iterdir()
        if (match := _NAME.fullmatch(path.name)) and ledger_path(path).is_file()
    ]
