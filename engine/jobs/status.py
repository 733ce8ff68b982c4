"""How a rendering stands, from its ledger: while it goes on, and after it ended or was killed."""

import time
from dataclasses import dataclass
from pathlib import Path

from sakuga.engine.jobs import records
from sakuga.engine.jobs.folder import lock_of
from sakuga.engine.jobs.records import Failure, Run
from sakuga.engine.jobs.tally import Tally, rate_text, time_text
from sakuga.engine.platform import is_held

_FAILURES = 5
_RETRY = " --retry-failed"


@dataclass(frozen=True)
class Status:
    """`running`: whether a process renders now. `rate`: pictures a second of the newest ones of the
    last run, None where there are too few. `failures`: the first ones."""

    out: Path
    running: bool
    tally: Tally
    run: Run | None
    rate: float | None
    failures: list[Failure]

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes, while somebody works at it."""
        return self.tally.queued / self.rate if self.running and self.rate else None

    def as_json(self) -> dict[str, object]:
        """For programs."""
        tally, run = self.tally, self.run
        return {
            "running": self.running,
            "jobs": tally.total,
            "done": tally.done,
            "failed": tally.failed,
            "queued": tally.queued,
            "sizes": {
                name: {"jobs": each.total, "done": each.done, "failed": each.failed}
                for name, each in tally.sizes.items()
            },
            "pictures_per_second": self.rate,
            "seconds_left": self.seconds_left,
            "failures": [failure._asdict() for failure in self.failures],
            "job_file": run and run.source,
            "command": run and run.command,
            "started": run and run.started,
            "ended": run and run.ended,
            "fate": run and run.fate,
        }

    def lines(self) -> list[str]:
        """For people."""
        tally = self.tally
        lines = [
            f"{self.out}: {self._state()}",
            f"{tally.done:,} of {tally.total:,} done, {tally.failed:,} failed, "
            f"{tally.queued:,} queued",
        ]
        width = max((len(name) for name in tally.sizes), default=0)
        lines += [
            f"  {name:{width}}  {each.done:,} of {each.total:,} done, {each.failed:,} failed"
            for name, each in tally.sizes.items()
        ]
        if self.rate:
            left = self.seconds_left
            told = "" if left is None else f", {time_text(left)} left"
            lines.append(f"{rate_text(self.rate)}{told}")
        lines += [f"failed: line {each.line} ({each.id}): {each.error}" for each in self.failures]
        return [*lines, *self._next()]

    def _state(self) -> str:
        if self.running:
            return "rendering"
        if self.run is None:
            return "never rendered"
        if self.run.ended is None:
            return "not rendering; the last process was killed, or stopped at once"
        ago = time_text(time.time() - self.run.ended)
        return f"not rendering; the last process ended {ago} ago: {self.run.fate}"

    def _next(self) -> list[str]:
        if self.running or self.run is None or not (self.tally.queued or self.tally.failed):
            return []
        command = self.run.command.replace(_RETRY, "")
        return [f"Next: {command}{'' if self.tally.queued else _RETRY}"]


def read_status(out: Path) -> Status:
    """How the rendering into a folder stands. Raises UsageError where none was begun."""
    with records.opened_to_read(out) as connection:
        run = records.last_run(connection)
        return Status(
            out=out,
            running=is_held(lock_of(out)),
            tally=Tally(records.counts(connection)),
            run=run,
            rate=None if run is None else records.rate(connection, run.started),
            failures=records.failures(connection, _FAILURES),
        )
