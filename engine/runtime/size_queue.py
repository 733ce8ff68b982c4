"""The pictures of one size: those begun, which have places in a lane, and those that wait."""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable
from math import inf

from sakuga.engine.runtime.policy import Policy
from sakuga.engine.runtime.slot import Slot, Sources

SHARE = 8  # one tick in so many, and one start, is the oldest picture's
_LOOK = 2  # pictures that wait and do not fit, before the others are not looked at

_Key = tuple[float, float, float, int]  # priority, deadline, policy, number: no two are the same


class UnreadyError(Exception):
    """A picture whose prompts could not be encoded; the cause says why."""

    def __init__(self, slot: Slot) -> None:
        super().__init__(slot.ticket)
        self.slot = slot


class SizeQueue:
    """`places` of the lane."""

    def __init__(self, places: int, policy: Policy) -> None:
        self.served = 0  # the tick in which it was last at work
        self._places, self._policy = places, policy
        self._free = list(range(places))[::-1]
        self._keys: dict[Slot, _Key] = {}
        self._begun: list[tuple[_Key, Slot]] = []  # sorted, as is the other
        self._waiting: list[tuple[_Key, Slot]] = []
        self._arrivals: deque[Slot] = deque()
        self._passed_over = 0  # starts since the oldest that waited started

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, slot: Slot) -> None:
        """A new picture."""
        deadline = inf if slot.deadline is None else slot.deadline
        key = (-slot.priority, deadline, self._policy.slot(slot), slot.number)
        self._keys[slot] = key
        insort(self._waiting, (key, slot))
        self._arrivals.append(slot)

    def remove(self, slot: Slot) -> None:
        """Forget a picture, begun or not."""
        if slot.place < 0:
            _take(self._waiting, self._keys[slot])
        else:
            _take(self._begun, self._keys[slot])
            self._free.append(slot.place)
        del self._keys[slot]
        slot.left = True

    def rank(self) -> tuple[float, float, float, int]:
        """The order of sizes: how urgent the first picture is, then what the policy says."""
        (priority, deadline, _, number), first = min([*self._begun[:1], *self._waiting[:1]])
        company = min(len(self._keys), self._places)
        return priority, deadline, self._policy.bucket(first, company, self.served), number

    def candidates(self, rows: int, first: Slot | None = None) -> list[Slot]:
        """Who shares a tick now; `first` of all, if it can begin.

        `rows` of one call, so of pictures with the same number of chunks. Whoever comes first is in
        whatever its rows are, for a call may be split.
        """
        chosen: list[Slot] = []
        used: dict[int, int] = {}
        free, missed = len(self._free), 0
        for slot in self._in_order(first):
            waits = slot.place < 0
            if waits and (missed == _LOOK or not free):
                continue
            mine = _rows_by_chunks(_ready(slot))
            if chosen and any(used.get(chunks, 0) + mine[chunks] > rows for chunks in mine):
                missed += waits
                continue
            free -= waits
            for chunks in mine:
                used[chunks] = used.get(chunks, 0) + mine[chunks]
            chosen.append(slot)
        return chosen

    def begin(self, chosen: Iterable[Slot]) -> None:
        """Give a place to those of the chosen who have none."""
        for slot in chosen:
            if slot.place < 0:
                self._passed_over = 0 if slot is self._oldest() else self._passed_over + 1
                entry = _take(self._waiting, self._keys[slot])
                slot.place = self._free.pop()
                insort(self._begun, entry)

    def advanced(self, slots: Iterable[Slot]) -> None:
        """Ask the policy anew of pictures that are a step further."""
        for slot in slots:
            key, value = self._keys[slot], self._policy.slot(slot)
            if value != key[2]:
                entry = _take(self._begun, key)
                self._keys[slot] = (*key[:2], value, slot.number)
                insort(self._begun, (self._keys[slot], entry[1]))

    def _in_order(self, first: Slot | None) -> Iterable[Slot]:
        """Begun pictures and the first few of those that wait, by their keys; but where it is the
        oldest's turn to start, it comes before the others that wait."""
        waiting = self._waiting[: len(self._free) + _LOOK] if self._free else []
        ordered = [slot for _, slot in sorted(self._begun + waiting)]
        if waiting and self._passed_over >= SHARE - 1:
            ordered.insert(0, self._oldest())
        if first is not None:
            ordered.insert(0, first)
        return dict.fromkeys(ordered)

    def _oldest(self) -> Slot:
        """Of those that wait."""
        while self._arrivals[0].place >= 0 or self._arrivals[0].left:
            self._arrivals.popleft()
        return self._arrivals[0]


def _take(entries: list[tuple[_Key, Slot]], key: _Key) -> tuple[_Key, Slot]:
    """Out of a sorted list."""
    return entries.pop(bisect_left(entries, key, key=lambda entry: entry[0]))


def _ready(slot: Slot) -> Sources:
    try:
        _ = slot.beginning
        return slot.sources
    except Exception as error:
        raise UnreadyError(slot) from error


def _rows_by_chunks(sources: Sources) -> dict[int, int]:
    found: dict[int, int] = {}
    for source in sources:
        found[source.chunks] = found.get(source.chunks, 0) + 1
    return found
