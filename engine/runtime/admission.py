"""Who may come in, and what became of everybody: limits, and counts that add up."""

import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from time import monotonic
from typing import Literal

from sakuga.engine.errors import OverloadedError

Outcome = Literal["completed", "failed", "cancelled"]

_REMEMBERED = 64  # finished pictures that tell how fast work is done


@dataclass(frozen=True)
class Limits:
    """What may be on its way at once; None for no limit.

    `megapixel_steps`: millions of pixels times evaluations; a picture of 1024x1024 in 28 steps is
    29. One picture is always let in, however large it is.
    """

    pictures: int | None = None
    megapixel_steps: float | None = None


NO_LIMITS = Limits()


@dataclass(frozen=True)
class Statistics:
    """Pictures since the engine opened: accepted = completed + failed + cancelled + in_flight.

    `rejected` were never accepted. `megapixel_steps`: of the pictures in flight. `evaluations`:
    steps of the device, each of which advances several pictures; `rows`: of all their network
    calls. `sizes`: completed pictures by size.
    """

    accepted: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    rejected: int = 0
    in_flight: int = 0
    megapixel_steps: float = 0.0
    evaluations: int = 0
    rows: int = 0
    sizes: dict[str, int] = field(default_factory=dict)

    @property
    def rows_per_evaluation(self) -> float:
        """How full calls are, 0 before the first."""
        return self.rows / self.evaluations if self.evaluations else 0.0


class Admission:
    """Counts pictures in and out. Any thread may ask."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._sizes: Counter[str] = Counter()
        self._work = 0.0
        self._finished: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED)  # when, work

    def admit(self, work: float) -> None:
        """Let a picture of so many megapixel-steps in. Raises OverloadedError beyond a limit."""
        with self._lock:
            over = self._over(work)
            if over is not None:
                self._counts["rejected"] += 1
                raise over
            self._enter(work)

    @property
    def full(self) -> bool:
        """Whether a limit is reached, so that no picture of any size would be let in."""
        pictures, work = self._limits.pictures, self._limits.megapixel_steps
        with self._lock:
            crowded = pictures is not None and self._counts["in_flight"] >= pictures
            return crowded or (work is not None and self._work >= work)

    def wait_s(self) -> float | None:
        """Seconds until a picture of average size is done, at the speed so far; None if unknown."""
        with self._lock:
            rate, pictures = self._rate(), self._counts["in_flight"]
            return self._work / pictures / rate if rate and pictures else None

    def enter(self, work: float) -> None:
        """Count a picture in whose number the caller bounds itself."""
        with self._lock:
            self._enter(work)

    def withdraw(self, work: float) -> None:
        """As if a picture had never been let in."""
        with self._lock:
            self._counts["accepted"] -= 1
            self._out(work)

    def leave(self, work: float, size: str, outcome: Outcome) -> None:
        """Count a picture out."""
        with self._lock:
            self._out(work)
            self._counts[outcome] += 1
            if outcome == "completed":
                self._sizes[size] += 1
                self._finished.append((monotonic(), work))

    def statistics(self, evaluations: int, rows: int) -> Statistics:
        """All counts of one moment."""
        with self._lock:
            return Statistics(
                **self._counts,
                megapixel_steps=self._work,
                evaluations=evaluations,
                rows=rows,
                sizes=dict(self._sizes),
            )

    def _enter(self, work: float) -> None:
        self._counts["accepted"] += 1
        self._counts["in_flight"] += 1
        self._work += work

    def _out(self, work: float) -> None:
        self._counts["in_flight"] -= 1
        self._work = self._work - work if self._counts["in_flight"] else 0.0

    def _over(self, work: float) -> OverloadedError | None:
        pictures, most = self._counts["in_flight"], self._limits.megapixel_steps
        if pictures == 0:
            return None
        if self._limits.pictures is not None and pictures >= self._limits.pictures:
            what = f"{pictures} pictures are on their way, as many as may be."
            return self._overloaded(what, self._work / pictures)
        if most is not None and self._work + work > most:
            what = (
                f"{self._work:.1f} megapixel-steps are on their way; {work:.1f} more are beyond "
                f"the limit of {most:g}."
            )
            return self._overloaded(what, self._work + work - most)
        return None

    def _overloaded(self, what: str, excess: float) -> OverloadedError:
        rate = self._rate()
        wait_s = excess / rate if rate else None
        return OverloadedError(
            what,
            note="" if wait_s is None else f"At the speed so far there is room in {wait_s:.1f} s.",
            hint="Try again later, or open the engine with higher limits.",
            retry_after_s=wait_s,
        )

    def _rate(self) -> float | None:
        """Megapixel-steps in a second, over the last finished pictures; None if too few are."""
        if len(self._finished) < 2:
            return None
        (first, done), (last, _) = self._finished[0], self._finished[-1]
        work = sum(each for _, each in self._finished) - done
        return work / (last - first) if last > first else None
