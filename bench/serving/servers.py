"""The real batcher as a server, and two outsiders that know nothing of steps."""

from collections.abc import Callable
from functools import lru_cache
from math import inf

import numpy as np

from sakuga.engine.runtime.batcher import Batcher
from sakuga.engine.runtime.policy import Policy
from sakuga.engine.runtime.request import Defaults, Request
from sakuga.engine.runtime.resolve import resolve
from sakuga.engine.runtime.settings import Settings
from sakuga.engine.runtime.slot import RowSource, Slot, Sources
from sakuga.engine.text.conditioning import Conditioning
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import CHUNK, SDXL
from serving.arrival import Arrival
from serving.clock import Turn
from serving.cost import Cost


class StepServer:
    """Requests join and leave at every step: the engine's own batcher, with `rows` of a call and
    as many places for each size, as the CUDA device has them."""

    def __init__(self, cost: Cost, rows: int, policy: Policy) -> None:
        self._cost, self._batcher = cost, Batcher(rows, rows, policy)
        self._arrivals: dict[int, Arrival] = {}

    def add(self, number: int, arrival: Arrival) -> None:
        """Into the batcher."""
        self._arrivals[number] = arrival
        self._batcher.add(slot_of(number, arrival))

    def turn(self, now: float) -> Turn | float:
        """One tick, then the VAE for each picture that is finished, as they come."""
        if not self._batcher.waiting:
            return inf
        batch = self._batcher.next()
        rows = sum(len(slot.sources) for slot in batch.slots)
        begun = tuple(slot.ticket for slot in batch.slots if slot.step == 0)
        seconds = self._cost.step(rows, self._arrivals[batch.slots[0].ticket].area)
        done = []
        for slot in self._batcher.done(batch):
            seconds += self._cost.decode * self._arrivals.pop(slot.ticket).area
            done.append((slot.ticket, seconds))
        return Turn(seconds, begun, tuple(done), 1, rows)


class OneByOne:
    """One request at a time, whole; the highest priority first, then who came first."""

    def __init__(self, cost: Cost) -> None:
        self._cost = cost
        self._waiting: dict[int, Arrival] = {}

    def add(self, number: int, arrival: Arrival) -> None:
        """Behind the others."""
        self._waiting[number] = arrival

    def turn(self, now: float) -> Turn | float:
        """A whole picture."""
        if not self._waiting:
            return inf
        number = min(self._waiting, key=lambda each: (-self._waiting[each].priority, each))
        arrival = self._waiting.pop(number)
        seconds = self._cost.picture(arrival)
        return Turn(
            seconds, (number,), ((number, seconds),), arrival.steps, arrival.steps * arrival.rows
        )


class FixedBatches:
    """Whole requests of one size, steps, guidance or none, and priority, as many as `rows` hold.

    A batch begins when it is full or its first picture has waited for `window_s`, and nobody joins
    or leaves it. The highest priority first, then who came first.
    """

    def __init__(self, cost: Cost, rows: int, window_s: float) -> None:
        self._cost, self._rows, self._window_s = cost, rows, window_s
        self._groups: dict[tuple[Size, int, int, int], list[tuple[int, Arrival]]] = {}

    def add(self, number: int, arrival: Arrival) -> None:
        """To its equals."""
        key = (arrival.size, arrival.steps, arrival.rows, arrival.priority)
        self._groups.setdefault(key, []).append((number, arrival))

    def turn(self, now: float) -> Turn | float:
        """A whole batch."""
        ready = [key for key in self._groups if self._ready_s(key) <= now]
        if not ready:
            return min(map(self._ready_s, self._groups), default=inf)
        key = min(ready, key=lambda each: (-each[3], self._groups[each][0][0]))
        waiting, most = self._groups.pop(key), self._most(key)
        if waiting[most:]:
            self._groups[key] = waiting[most:]
        return self._batch(waiting[:most])

    def _batch(self, batch: list[tuple[int, Arrival]]) -> Turn:
        first = batch[0][1]
        rows = len(batch) * first.rows
        seconds, done = first.steps * self._cost.step(rows, first.area), []
        for number, arrival in batch:
            seconds += self._cost.decode * arrival.area
            done.append((number, seconds))
        begun = tuple(number for number, _ in batch)
        return Turn(seconds, begun, tuple(done), first.steps, first.steps * rows)

    def _most(self, key: tuple[Size, int, int, int]) -> int:
        return max(1, self._rows // key[2])

    def _ready_s(self, key: tuple[Size, int, int, int]) -> float:
        """When it may begin: at once where it is full."""
        group = self._groups[key]
        return -inf if len(group) >= self._most(key) else group[0][1].at_s + self._window_s


MakeServer = Callable[[], StepServer | OneByOne | FixedBatches]


def slot_of(number: int, arrival: Arrival) -> Slot:
    """The picture as the batcher knows it; its prompts are one chunk each."""
    settings = _settings(arrival.size, arrival.steps, arrival.guidance)
    rows = _rows(arrival.rows, settings.table.evaluations)
    return Slot(number, settings, lambda: rows, arrival.priority)


@lru_cache(1024)
def _settings(size: Size, steps: int, guidance: float) -> Settings:
    request = Request("", None, size.width, size.height, steps, guidance, "euler_a", 0)
    return resolve(request, SDXL, Defaults(size), "epsilon")


@lru_cache(1024)
def _rows(rows: int, evaluations: int) -> tuple[Sources, ...]:
    nothing = Conditioning(np.zeros((CHUNK, 1), np.float32), None)
    return ((RowSource(nothing, 1.0),) * rows,) * evaluations
