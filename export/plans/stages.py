"""How far a builder is, as one number: nested phases of known length, summed up."""

import threading
from dataclasses import dataclass


@dataclass
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


class Stages:
    """The share of all phases done, 0 to 1, which never falls. Any thread may call."""

    def __init__(self) -> None:
        self.share = 0.0
        self._phases: dict[str, _Phase] = {}
        self._lock = threading.Lock()

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase of `steps` steps begins, inside `parent`."""
        with self._lock:
            self._phases[name] = _Phase(parent, max(steps, 1))

    def step(self, name: str, done: int) -> None:
        """Step `done`, counted from 0, of a phase is over."""
        with self._lock:
            if name in self._phases:
                self._phases[name].done = done + 1
                roots = [name for name, p in self._phases.items() if p.parent is None]
                self.share = max([self.share, *map(self._of, roots)])

    def finish(self, name: str) -> None:
        """A phase is over."""
        with self._lock:
            phase = self._phases.pop(name, None)
            if phase is not None and phase.parent is None:
                self.share = 1.0

    def _of(self, name: str) -> float:
        phase = self._phases[name]
        within = [self._of(child) for child, p in self._phases.items() if p.parent == name]
        return min((phase.done + max(within, default=0.0)) / phase.steps, 1.0)
