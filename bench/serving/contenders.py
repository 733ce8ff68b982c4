"""Who is compared: the batcher with every policy and row cap, and two who know nothing of steps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from statistics import fmean

from sakuga.engine.runtime.policy import POLICIES
from serving.arrival import Arrival
from serving.clock import Server, simulate
from serving.cost import Cost
from serving.servers import FixedBatches, OneByOne, StepServer
from serving.summary import Summary, summary

ONE_BY_ONE, FIXED = "one request at a time", "fixed batches"


@dataclass(frozen=True)
class Contender:
    """`rows`: of one call. `name`: of a policy, or one of the two above."""

    name: str
    rows: int

    def server(self, cost: Cost, window_s: float) -> Server:
        """A new one, with nobody waiting."""
        if self.name == ONE_BY_ONE:
            return OneByOne(cost)
        if self.name == FIXED:
            return FixedBatches(cost, self.rows, window_s)
        return StepServer(cost, self.rows, POLICIES[self.name]())


@dataclass(frozen=True)
class Load:
    """Runs of one kind, which differ in their seed. `at_once`: pictures handed in at any time for
    each row of a call; None for all that have arrived. `rate`: pictures a second, if it has one."""

    name: str
    runs: tuple[tuple[Arrival, ...], ...]
    at_once: int | None = None
    rate: float | None = None


def contenders(caps: Sequence[int]) -> Iterator[Contender]:
    """All of them, by rows."""
    yield Contender(ONE_BY_ONE, 2)
    for rows in caps:
        yield Contender(FIXED, rows)
        for name in POLICIES:
            yield Contender(name, rows)


def tried(contender: Contender, load: Load, cost: Cost, window_s: float) -> Summary:
    """How it does with a load, on average over its runs."""
    at_once = float("inf") if load.at_once is None else load.at_once * contender.rows
    found = [summary(simulate(contender.server(cost, window_s), run, at_once)) for run in load.runs]
    means = {
        field.name: fmean(getattr(each, field.name) for each in found) for field in fields(Summary)
    }
    return Summary(**means)
