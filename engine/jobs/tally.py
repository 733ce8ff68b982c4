"""How a rendering goes: what is done of each size, how fast, how long it will take."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

from sakuga.engine.jobs.records import Count

_WINDOW = 100  # pictures whose time tells how fast it goes now


@dataclass
class OfSize:
    """Jobs of one size."""

    total: int = 0
    done: int = 0
    failed: int = 0


class Tally:
    """Counts that grow. Those of `counts` were there before; the speed is of what came since."""

    def __init__(self, counts: Iterable[Count]) -> None:
        self.sizes: dict[str, OfSize] = {}
        for count in counts:
            of_size = self.sizes.setdefault(count.size, OfSize())
            of_size.total += count.jobs
            of_size.done += count.jobs if count.state == "done" else 0
            of_size.failed += count.jobs if count.state == "failed" else 0
        self.made = 0
        self._began = monotonic()
        self._times = deque([self._began], _WINDOW + 1)

    @property
    def total(self) -> int:
        """Jobs of all sizes."""
        return sum(of_size.total for of_size in self.sizes.values())

    @property
    def done(self) -> int:
        """Pictures on the disk."""
        return sum(of_size.done for of_size in self.sizes.values())

    @property
    def failed(self) -> int:
        """Pictures that could not be made."""
        return sum(of_size.failed for of_size in self.sizes.values())

    @property
    def queued(self) -> int:
        """Those still to come."""
        return self.total - self.done - self.failed

    @property
    def rate(self) -> float | None:
        """Pictures a second, over the last hundred; None before the first."""
        seconds = self._times[-1] - self._times[0]
        return (len(self._times) - 1) / seconds if seconds > 0 else None

    @property
    def seconds(self) -> float:
        """From the beginning to the newest picture."""
        return max(self._times[-1] - self._began, 1e-3)

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at that rate."""
        return None if self.rate is None else self.queued / self.rate

    def add(self, size: str, failed: bool = False) -> None:
        """A picture of this size is on the disk, or has failed."""
        of_size = self.sizes[size]
        if failed:
            of_size.failed += 1
        else:
            of_size.done += 1
            self.made += 1
            self._times.append(monotonic())

    def speed(self) -> str:
        """The rate and the time left, in words; empty before the first picture."""
        if self.rate is None or self.seconds_left is None:
            return ""
        return f"{rate_text(self.rate)}, {time_text(self.seconds_left)} left"

    def by_size(self, most: int = 5) -> str:
        """What is done of the most frequent sizes, in a line."""
        named = [f"{name} {each.done:,}/{each.total:,}" for name, each in self.sizes.items()]
        return ", ".join(named[:most]) + (", …" if len(named) > most else "")


def rate_text(rate: float) -> str:
    """Pictures a second, or seconds a picture where they are slow."""
    return f"{rate:.2f} pictures/s" if rate >= 0.1 else f"{1 / rate:.1f} s/picture"


def time_text(seconds: float) -> str:
    """Such as 0:03:40, or 2 days, 1:00:00."""
    return str(timedelta(seconds=round(seconds)))
