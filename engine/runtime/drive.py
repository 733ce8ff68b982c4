"""Drives the passes of a picture: what they need goes to the worker, what comes of it back in."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from sakuga.engine.runtime.chain import Aside, Denoise, InTurns, Need, Steps, Undecoded
from sakuga.engine.runtime.made import Made
from sakuga.engine.runtime.outcomes import fail, resolve
from sakuga.engine.runtime.picture import Picture
from sakuga.engine.runtime.worker import Job, Worker


@dataclass(eq=False)
class Drive:
    """Of one picture. `job`: a pass as a job of the worker.

    Every turn ends on whatever thread did its last piece. Cancelling the picture cancels what is
    on its way, and nothing more is asked for.
    """

    worker: Worker
    job: Callable[[Denoise | Undecoded], Job[Any]]

    def begin(
        self, steps: Steps[Made], result: "Future[Picture]", finish: Callable[[Made], Picture]
    ) -> None:
        """Start. Raises SakugaError where the engine is closed or broken."""
        self._steps, self._result, self._finish = steps, result, finish
        self._lock, self._open = threading.Lock(), list[Future[Any]]()
        result.add_done_callback(self._stop)
        self._ask(next(steps))

    def _ask(self, needs: Sequence[Need]) -> None:
        found = [self._submitted(need) for need in needs]
        with self._lock:
            self._open = found
        if self._result.cancelled():
            self._stop(self._result)
        left = len(found)

        def one_done(_: "Future[Any]") -> None:
            nonlocal left
            with self._lock:
                left -= 1
                last = left == 0
            if last:
                self._go_on(found)

        for future in found:
            future.add_done_callback(one_done)

    def _submitted(self, need: Need) -> "Future[Any]":
        if isinstance(need, Denoise | Undecoded):
            return self.worker.submit(self.job(need))
        if isinstance(need, InTurns):
            return self.worker.take_turns(need.begin)
        if isinstance(need, Aside):
            return self.worker.aside(need.do)
        return self.worker.call(need.do)

    def _go_on(self, done: "Sequence[Future[Any]]") -> None:
        if self._result.cancelled():
            return
        try:
            self._ask(self._steps.send([future.result() for future in done]))
        except StopIteration as end:
            made: Made = end.value
            resolve(self._result, lambda: self._finish(made))
        except BaseException as error:  # for whoever waits
            fail(self._result, error)

    def _stop(self, result: "Future[Picture]") -> None:
        if result.cancelled():
            with self._lock:
                waiting = list(self._open)
            for future in waiting:
                future.cancel()
