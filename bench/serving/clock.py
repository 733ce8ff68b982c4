"""The simulation: arrivals go in, a server says what it does next, the clock jumps there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Protocol

from serving.arrival import Arrival


@dataclass(frozen=True)
class Turn:
    """What a server does without a break. `begun`: pictures that had waited until then; `done`:
    pictures, with the seconds from the start of the turn to their end."""

    seconds: float
    begun: tuple[int, ...]
    done: tuple[tuple[int, float], ...]
    steps: int
    rows: int  # of all steps together


class Server(Protocol):
    """Pictures are known by their number in the load."""

    def add(self, number: int, arrival: Arrival) -> None:
        """A picture has arrived."""
        ...

    def turn(self, now: float) -> Turn | float:
        """What it does now; or until when it does nothing if nobody comes, for ever where inf."""
        ...


@dataclass(frozen=True)
class Served:
    """A picture's life, in seconds from the start of the load."""

    arrival: Arrival
    begun_s: float
    done_s: float

    @property
    def waited_s(self) -> float:
        """Until its first step."""
        return self.begun_s - self.arrival.at_s

    @property
    def latency_s(self) -> float:
        """Until it was there."""
        return self.done_s - self.arrival.at_s


@dataclass(frozen=True)
class Run:
    """What became of a load: its pictures in its order, and what the machine did."""

    served: tuple[Served, ...]
    busy_s: float
    steps: int
    rows: int


def simulate(server: Server, arrivals: Sequence[Arrival], at_once: float = inf) -> Run:
    """Serve a load that is in order of time. `at_once`: so many pictures are handed in at any
    time, as `render_many` does; the others wait outside, which counts as waiting."""
    begun, done = dict[int, float](), dict[int, float]()
    outside, now, busy, steps, rows = _Outside(arrivals), 0.0, 0.0, 0, 0
    while True:
        for number in outside.enter(now, at_once - (outside.entered - len(done))):
            server.add(number, arrivals[number])
        turn = server.turn(now)
        if not isinstance(turn, Turn):
            now = min(turn, outside.next_s)
            if now == inf:
                break
            continue
        begun |= {number: now for number in turn.begun}
        done |= {number: now + seconds for number, seconds in turn.done}
        now, busy = now + turn.seconds, busy + turn.seconds
        steps, rows = steps + turn.steps, rows + turn.rows
    served = [Served(each, begun[number], done[number]) for number, each in enumerate(arrivals)]
    return Run(tuple(served), busy, steps, rows)


class _Outside:
    """Arrivals that are not handed in."""

    def __init__(self, arrivals: Sequence[Arrival]) -> None:
        self._arrivals, self.entered = arrivals, 0

    @property
    def next_s(self) -> float:
        """When the next one comes; inf after the last."""
        if self.entered == len(self._arrivals):
            return inf
        return self._arrivals[self.entered].at_s

    def enter(self, now: float, room: float) -> Iterator[int]:
        """Those that come in."""
        while room >= 1 and self.next_s <= now:
            self.entered += 1
            room -= 1
            yield self.entered - 1
