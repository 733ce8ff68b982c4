"""Jobs by their ids: those on their way, and those that are over, as long as they are kept."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from sakuga.engine.errors import UsageError
from sakuga.engine.serve.jobs import Job


@dataclass(frozen=True)
class Keeping:
    """How many jobs that are over are kept, with how many bytes of pictures, and how long; the
    oldest go first."""

    jobs: int = 1000
    bytes: int = 512 << 20
    seconds: float = 3600.0


class KeptJobs:
    """Used on the event loop alone. `repeated`: requests that an earlier job answered."""

    def __init__(self, keeping: Keeping) -> None:
        self.repeated = 0
        self._keeping = keeping
        self._jobs: dict[str, Job] = {}
        self._over: OrderedDict[str, int] = OrderedDict()  # id to bytes, in order of their ends
        self._bytes = 0
        self._keys: dict[str, tuple[str, str]] = {}  # idempotency key: fingerprint, job
        self._key_of: dict[str, str] = {}  # job: its key
        self._timer: asyncio.TimerHandle | None = None

    def get(self, id: str) -> Job | None:
        """By its id; None where there is none, or it was long ago."""
        return self._jobs.get(id)

    def add(self, job: Job) -> None:
        """One on its way."""
        self._jobs[job.id] = job

    def once(self, key: str, fingerprint: str, make: Callable[[], Job]) -> Job:
        """The job of an idempotency key: made the first time, the same one later.

        Raises UsageError where the key was given for another request, and what `make` raises.
        """
        known = self._keys.get(key)
        if known is None:
            job = make()
            self._keys[key], self._key_of[job.id] = (fingerprint, job.id), key
            return job
        if known[0] != fingerprint:
            raise UsageError(
                "This idempotency key was given with another request.",
                hint="Use a new key for a new request.",
            )
        self.repeated += 1
        return self._jobs[known[1]]

    def ended(self, job: Job) -> None:
        """It is over, and kept from now on; older ones may have to go."""
        self._over[job.id] = size = _bytes(job)
        self._bytes += size
        self._forget_old()

    def forget(self, job: Job) -> None:
        """Nobody will ask for it any more. It must be over."""
        if job.id in self._over:
            self._bytes -= self._over.pop(job.id)
            del self._jobs[job.id]
            self._keys.pop(self._key_of.pop(job.id, ""), None)

    def _forget_old(self) -> None:
        now, keeping = time.time(), self._keeping
        while self._over:
            oldest = self._jobs[next(iter(self._over))]
            left_s = (oldest.finished or oldest.created) + keeping.seconds - now
            crowded = len(self._over) > keeping.jobs or self._bytes > keeping.bytes
            if left_s > 0 and not crowded:
                self._look_again(left_s)
                return
            self.forget(oldest)

    def _look_again(self, seconds: float) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(seconds, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._forget_old()


def _bytes(job: Job) -> int:
    return sum(len(picture.made.data) for picture in job.pictures if picture.made is not None)
