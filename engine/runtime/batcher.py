"""Which slots take part in the next evaluation. Pure Python: no arrays, no device, no clock.

Pictures of one size share a tick, whatever their steps, samplers, seeds and guidance. Who is
first is a matter of priority, deadline and a policy; but one tick in eight is the oldest picture's
and one start in eight as well, so every picture ends in time: see `SHARE`.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import count

from sakuga.engine.runtime.policy import InOrder, Policy
from sakuga.engine.runtime.size_queue import SHARE, SizeQueue
from sakuga.engine.runtime.slot import Slot


@dataclass(frozen=True, eq=False)
class Batch:
    """One tick: slots of one latent size, which advance by one evaluation together."""

    latent: tuple[int, int]
    slots: tuple[Slot, ...]


class Batcher:
    """`places`: slots of a lane. `rows`: of one call, so of slots with the same number of chunks; a
    picture with more rows than that is alone."""

    def __init__(self, places: int, rows: int, policy: Policy | None = None) -> None:
        self._places, self._rows, self._policy = places, rows, policy or InOrder()
        self._queues: dict[tuple[int, int], SizeQueue] = {}
        self._arrivals: deque[Slot] = deque()
        self._deadlines: list[tuple[float, int, Slot]] = []
        self._numbers = count()
        self._tick = 0

    @property
    def waiting(self) -> bool:
        """Whether anything is left to do."""
        return bool(self._queues)

    def add(self, slot: Slot) -> None:
        """A new picture."""
        slot.number = next(self._numbers)
        if slot.latent not in self._queues:
            self._queues[slot.latent] = SizeQueue(self._places, self._policy)
        self._queues[slot.latent].add(slot)
        self._arrivals.append(slot)
        if slot.deadline is not None:
            self._forget_gone()
            heappush(self._deadlines, (slot.deadline, slot.number, slot))

    def discard(self, slot: Slot) -> None:
        """Forget a picture, wherever it stands."""
        if slot.left or slot.number < 0:
            return
        self._queues[slot.latent].remove(slot)
        if not self._queues[slot.latent]:
            del self._queues[slot.latent]

    def expired(self, now: float) -> Iterable[Slot]:
        """Pictures whose deadline has passed, which nobody need discard."""
        while self._deadlines and self._deadlines[0][0] <= now:
            slot = heappop(self._deadlines)[2]
            if not slot.left:
                self.discard(slot)
                yield slot

    def next(self) -> Batch:
        """The next evaluation of whoever is first and of all that can share it.

        Raises UnreadyError where a picture cannot be made ready, which is to be discarded.
        """
        self._tick += 1
        oldest = self._oldest() if self._tick % SHARE == 0 else None
        latent = self._first() if oldest is None else oldest.latent
        queue = self._queues[latent]
        chosen = queue.candidates(self._rows, oldest)
        queue.begin(chosen)
        queue.served = self._tick
        return Batch(latent, tuple(chosen))

    def done(self, batch: Batch) -> list[Slot]:
        """Advance, and let go of pictures after their last evaluation."""
        finished = []
        for slot in batch.slots:
            slot.step += 1
            if slot.finished:
                self.discard(slot)
                finished.append(slot)
        if batch.latent in self._queues:
            self._queues[batch.latent].advanced(slot for slot in batch.slots if not slot.left)
        return finished

    def limit(self, rows: int) -> None:
        """Fewer rows from now on."""
        self._rows = rows

    def _first(self) -> tuple[int, int]:
        """The size whose turn it is."""
        if len(self._queues) == 1:
            return next(iter(self._queues))
        return min(self._queues, key=lambda latent: self._queues[latent].rank())

    def _oldest(self) -> Slot:
        while self._arrivals[0].left:
            self._arrivals.popleft()
        return self._arrivals[0]

    def _forget_gone(self) -> None:
        """Let go of pictures that were done before their deadline: they hold what they were told,
        and a deadline may be an hour away."""
        if len(self._deadlines) > 2 * sum(map(len, self._queues.values())):
            self._deadlines = [entry for entry in self._deadlines if not entry[2].left]
            heapify(self._deadlines)
