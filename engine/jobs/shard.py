"""A part of a job file for each of several processes that know nothing of one another."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from sakuga.engine.errors import UsageError

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """The `part`-th of `parts` shares of a job file, counted from 1.

    Jobs go round as cards are dealt, so that each share has some of everything. A job's share is
    its place in the file, whatever of the file is done: all processes must be given the same file.
    """

    part: int
    parts: int

    def __str__(self) -> str:
        return f"{self.part}-of-{self.parts}"

    def of(self, jobs: Sequence[T]) -> list[T]:
        """This share of all jobs, in their order; none where there are fewer jobs than shares."""
        return list(jobs[self.part - 1 :: self.parts])


def parse_shard(text: str) -> Shard:
    """The shard that `2/8` names. Raises UsageError for anything that names none."""
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text.strip())
    if found is None:
        raise UsageError(
            f"{text!r} names no share of the jobs.",
            hint="Say which of how many: --shard 1/4 to --shard 4/4.",
        )
    part, parts = int(found[1]), int(found[2])
    if not 1 <= part <= parts:
        raise UsageError(
            f"There is no share {part} of {parts}.",
            note="Shares are counted from 1.",
            hint=f"Give --shard 1/{max(parts, 1)} to --shard {max(parts, 1)}/{max(parts, 1)}; of "
            "tasks that a scheduler counts from 0, add 1 to the number.",
        )
    return Shard(part, parts)
