"""What does the batcher cost? A tick with 1,000 pictures waiting and 16 at work, nine sizes.

    python bench/batcher.py [--ticks 2000]

The real batcher, pure Python, no device: `next` and `done`, for every policy. First a settled queue
in which nobody comes or goes; then every tick ends a picture and brings a new one, whose arrival
counts too. Half the pictures have a priority or a deadline. The bar: 100 µs a tick, the median;
a step of SDXL cannot take an H200 less than 17 ms.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from time import perf_counter

from common import Figure, median, report
from serving.arrival import Arrival
from serving.servers import slot_of

from sakuga.engine.runtime.batcher import Batcher
from sakuga.engine.runtime.policy import POLICIES, Policy
from sakuga.engine.runtime.slot import Slot
from sakuga.profiles.buckets import ANIMAGINE_BUCKETS

BAR_MICROSECONDS = 100.0
WAITING, RUNNING = 1000, 16
ROWS = 2 * RUNNING  # all are guided
STEPS = (600, 800, 1000)  # so many that hardly a picture ends but those that are made to
WARM_UP = 200  # ticks; turns and starts reach every size


@dataclass(frozen=True)
class Ticks:
    """Microseconds of each."""

    settled: list[float]
    busy: list[float]


def pictures() -> Iterator[Slot]:
    """Without end; sizes and steps take turns."""
    for number in count():
        size = ANIMAGINE_BUCKETS[number % len(ANIMAGINE_BUCKETS)]
        slot = slot_of(number, Arrival(0.0, size, STEPS[number % len(STEPS)], 7.0, number % 4 // 3))
        if number % 4 == 1:
            slot.deadline = 1e6 + number * 7919 % 1000
        yield slot


def settled_tick(batcher: Batcher) -> float:
    """Microseconds of a tick in which nobody comes or goes."""
    start = perf_counter()
    batcher.done(batcher.next())
    return 1e6 * (perf_counter() - start)


def busy_tick(batcher: Batcher, new: Slot) -> float:
    """Microseconds of a tick that ends a picture, and of an arrival."""
    start = perf_counter()
    batcher.add(new)
    batch = batcher.next()
    chosen = perf_counter()
    last = batch.slots[-1]
    last.step = last.settings.table.evaluations - 1
    finishing = perf_counter()
    finished = batcher.done(batch)
    end = perf_counter()
    assert last in finished
    return 1e6 * (end - finishing + chosen - start)


def measure(policy: Policy, ticks: int) -> Ticks:
    """Of both kinds, one batcher after the other kind's."""
    batcher, source = Batcher(RUNNING, ROWS, policy), pictures()
    for _ in range(WAITING + RUNNING):
        batcher.add(next(source))
    for slot in [next(source) for _ in range(WARM_UP)]:
        busy_tick(batcher, slot)
    busy = [busy_tick(batcher, next(source)) for _ in range(ticks)]
    for _ in range(WARM_UP):
        batcher.done(batcher.next())
    return Ticks([settled_tick(batcher) for _ in range(ticks)], busy)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=2000)
    ticks = parser.parse_args().ticks
    figures = list[Figure]()
    for name, policy in POLICIES.items():
        found = measure(policy(), ticks)
        for kind, samples in (("settled", found.settled), ("coming and going", found.busy)):
            beside = f"99 of 100 within {sorted(samples)[ticks * 99 // 100]:.0f} µs"
            value = median(samples)
            figures.append(Figure(f"{name}, {kind}", value, "µs", BAR_MICROSECONDS, beside=beside))
    report("batcher", figures, {"waiting": WAITING, "running": RUNNING, "rows": ROWS})


if __name__ == "__main__":
    main()
