"""The pictures of one size: those begun, which have places in a lane, and those that wait."""

from bisect import bisect_left, insort
from collections import Counter, deque
from collections.abc import Iterator
from math import inf

from sakuga.engine.runtime.policy import Policy
from sakuga.engine.runtime.slot import Slot

SHARE = 8  # one tick in so many, and one start, is the oldest picture's
_LOOK = 2  # pictures that wait and do not fit, before the others are not looked at

_Urgency = tuple[float, float]  # priority, deadline
_Key = tuple[_Urgency, float, int]  # no two pictures have the same


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
        self._begun: list[Slot] = []
        self._waiting: list[tuple[_Key, Slot]] = []  # sorted
        self._arrivals: deque[Slot] = deque()
        self._passed_over = 0  # starts since the oldest that waited started

    def __bool__(self) -> bool:
        return bool(self._begun or self._waiting)

    def add(self, slot: Slot) -> None:
        """A new picture."""
        insort(self._waiting, (self._key(slot), slot))
        self._arrivals.append(slot)

    def remove(self, slot: Slot) -> None:
        """Forget a picture, begun or not."""
        if slot.place < 0:
            self._forget_waiting(slot)
        else:
            self._begun.remove(slot)
            self._free.append(slot.place)
        slot.left = True

    def rank(self) -> tuple[_Urgency, float, int]:
        """The order of sizes: how urgent the first picture is, then what the policy says."""
        begun = [(self._key(slot), slot) for slot in self._begun]
        (urgency, _, number), first = min([*begun, *self._waiting[:1]])
        company = min(len(self._begun) + len(self._waiting), self._places)
        return urgency, self._policy.bucket(first, company, self.served), number

    def candidates(self, rows: int, first: Slot | None = None) -> list[Slot]:
        """Who shares a tick now; `first` of all, if it can begin.

        `rows` of one call, so of pictures with the same number of chunks. Whoever comes first is in
        whatever its rows are, for a call may be split.
        """
        chosen: list[Slot] = []
        used: Counter[int] = Counter()
        free, missed = len(self._free), 0
        for slot in self._in_order(first):
            waits = slot.place < 0
            if waits and (missed == _LOOK or not free):
                continue
            mine = Counter(source.chunks for source in _ready(slot).sources)
            if chosen and any(used[chunks] + count > rows for chunks, count in mine.items()):
                missed += waits
                continue
            free -= waits
            used += mine
            chosen.append(slot)
        return chosen

    def begin(self, chosen: list[Slot]) -> None:
        """Give a place to those of the chosen who have none."""
        for slot in chosen:
            if slot.place < 0:
                self._passed_over = 0 if slot is self._oldest() else self._passed_over + 1
                self._forget_waiting(slot)
                slot.place = self._free.pop()
                self._begun.append(slot)

    def _in_order(self, first: Slot | None) -> Iterator[Slot]:
        """Begun pictures and the first few of those that wait, by their keys; but where it is the
        oldest's turn to start, it comes before the others that wait."""
        waiting = self._waiting[: len(self._free) + _LOOK] if self._free else []
        begun = [(self._key(slot), slot) for slot in self._begun]
        ordered = [slot for _, slot in sorted(begun + waiting)]
        if waiting and self._passed_over >= SHARE - 1:
            ordered.insert(0, self._oldest())
        if first is not None:
            ordered.insert(0, first)
        return iter(dict.fromkeys(ordered))

    def _key(self, slot: Slot) -> _Key:
        urgency = (-slot.priority, inf if slot.deadline is None else slot.deadline)
        return urgency, self._policy.slot(slot), slot.number

    def _oldest(self) -> Slot:
        """Of those that wait."""
        while self._arrivals[0].place >= 0 or self._arrivals[0].left:
            self._arrivals.popleft()
        return self._arrivals[0]

    def _forget_waiting(self, slot: Slot) -> None:
        at = bisect_left(self._waiting, self._key(slot), key=lambda entry: entry[0])
        assert self._waiting[at][1] is slot
        del self._waiting[at]


def _ready(slot: Slot) -> Slot:
    try:
        _ = slot.rows
    except Exception as error:
        raise UnreadyError(slot) from error
    return slot
