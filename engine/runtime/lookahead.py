"""Many jobs through one worker, no more of them at once than it can use."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

from sakuga.engine.runtime.worker import Job, Worker

T = TypeVar("T")


def in_order_of_completion(jobs: Iterable[Job[T]], worker: Worker, ahead: int) -> Iterator[T]:
    """The results as they come, with `ahead` jobs handed in at any time.

    Raises what a job raises, at its turn. Whoever stops early takes the rest off the device.
    """
    done: SimpleQueue[Future[T]] = SimpleQueue()
    waiting: set[Future[T]] = set()
    source = iter(jobs)
    try:
        while True:
            while len(waiting) < ahead and (job := next(source, None)) is not None:
                future = worker.submit(job)
                waiting.add(future)
                future.add_done_callback(done.put)
            if not waiting:
                return
            finished = done.get()
            waiting.remove(finished)
            yield finished.result()
    finally:
        for future in waiting:
            future.cancel()
