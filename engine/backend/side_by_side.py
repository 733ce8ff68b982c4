"""Rows of a network call side by side, each on a core of its own."""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, wait
from functools import cached_property
from itertools import pairwise

import numpy as np

from sakuga.engine.backend.base import Array, Session


class SideBySide:
    """A network in two sessions: `alone` works on the calling thread, `together`, which is opened
    when it is first needed, on `threads`.

    Where a network is small, cores that share a row spend a good part of their time waiting for
    each other. So calls that have a row for every thread are split among threads of `pool`. A row's
    bits are the same whoever computes it.
    """

    def __init__(
        self, alone: Session, together: Callable[[], Session], threads: int, pool: Executor
    ) -> None:
        self._alone, self._open, self._threads, self._pool = alone, together, threads, pool

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name. Raises what a session raises."""
        rows = len(next(iter(inputs.values())))
        if rows < self._threads:
            return self._together.run(inputs)
        edges = [rows * part // self._threads for part in range(self._threads + 1)]
        parts = [slice(*pair) for pair in pairwise(edges)]
        runs = [
            self._pool.submit(self._alone.run, {name: a[part] for name, a in inputs.items()})
            for part in parts
        ]
        wait(runs)  # all of them, for whoever hears of an error may write into the inputs
        outputs = [run.result() for run in runs]
        return {name: np.concatenate([each[name] for each in outputs]) for name in outputs[0]}

    @cached_property
    def _together(self) -> Session:
        return self._open()
