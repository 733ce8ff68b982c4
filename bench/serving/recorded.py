"""Loads that somebody recorded: a file with one JSON object a line, and how an engine makes one."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from time import monotonic

from sakuga.engine.runtime.policy import Policy
from sakuga.engine.runtime.slot import Slot
from sakuga.profiles.buckets import Size
from serving.arrival import Arrival

FIELDS = {"at_s", "size", "steps", "guidance", "priority"}


def read_load(path: Path) -> list[Arrival]:
    """The arrivals of a file, in their order. Raises ValueError for a line that is none."""
    arrivals = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            arrivals.append(_arrival(json.loads(line)))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}, line {number}: {error}") from error
    return sorted(arrivals, key=lambda arrival: arrival.at_s)


def write_load(path: Path, arrivals: Iterable[Arrival]) -> None:
    """The file that `read_load` reads. It holds no prompts."""
    lines = [
        json.dumps(
            {
                "at_s": round(arrival.at_s, 3),
                "size": str(arrival.size),
                "steps": arrival.steps,
                "guidance": arrival.guidance,
                "priority": arrival.priority,
            }
        )
        for arrival in arrivals
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


class Recorder:
    """A policy that notes every picture as the batcher hears of it, which is between two steps.

    Give it to an engine as its policy, then write `arrivals`. It serves as `policy` serves.
    """

    def __init__(self, policy: Policy, clock: Callable[[], float] = monotonic) -> None:
        self.arrivals: list[Arrival] = []
        self._policy, self._clock, self._start = policy, clock, clock()
        self._newest = -1

    def slot(self, slot: Slot) -> float:
        """As the policy has it."""
        if slot.number > self._newest:
            self._newest = slot.number
            self.arrivals.append(_arrival_of(slot, self._clock() - self._start))
        return self._policy.slot(slot)

    def bucket(self, first: Slot, company: int, served: int) -> float:
        """As the policy has it."""
        return self._policy.bucket(first, company, served)


def _arrival_of(slot: Slot, at_s: float) -> Arrival:
    settings = slot.settings
    guidance = settings.guidance if settings.guided else 1.0
    return Arrival(at_s, settings.size, settings.table.evaluations, guidance, slot.priority)


def _arrival(fields: object) -> Arrival:
    if not isinstance(fields, dict) or fields.keys() != FIELDS:
        raise ValueError(f"a line has the fields {', '.join(sorted(FIELDS))}")
    at_s, guidance = float(str(fields["at_s"])), float(str(fields["guidance"]))
    steps, priority = int(str(fields["steps"])), int(str(fields["priority"]))
    if at_s < 0 or steps < 1:
        raise ValueError("a picture has a time from 0 up and 1 step or more")
    return Arrival(at_s, Size.parse(str(fields["size"])), steps, guidance, priority)
