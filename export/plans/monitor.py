"""How far a builder is, as one number, and the way to stop it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_TOLD = 0.01  # smaller advances are not told: there are thousands


@dataclass
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


class Stages:
    """Nested phases of known length, summed up to a share of the whole that never falls."""

    def __init__(self, advance: Callable[[float], None]) -> None:
        self.stopped = False
        self._advance = advance
        self._phases: dict[str, _Phase] = {}
        self._share = 0.0

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase of `steps` steps begins, inside `parent`."""
        self._phases[name] = _Phase(parent, max(steps, 1))

    def step(self, name: str, done: int) -> bool:
        """Step `done`, counted from 0, of a phase is over; whether to go on."""
        if name in self._phases:
            self._phases[name].done = done + 1
            self._tell()
        return not self.stopped

    def finish(self, name: str) -> None:
        """A phase is over."""
        phase = self._phases.pop(name, None)
        if phase is not None and phase.parent is None:
            self._advance(1.0)

    def _tell(self) -> None:
        share = max((self._of(name) for name, p in self._phases.items() if p.parent is None),
                    default=0.0)  # fmt: skip
        if share >= self._share + _TOLD:
            self._share = share
            self._advance(share)

    def _of(self, name: str) -> float:
        phase = self._phases[name]
        within = [self._of(child) for child, p in self._phases.items() if p.parent == name]
        return min((phase.done + max(within, default=0.0)) / phase.steps, 1.0)


def monitor(library: Any, stages: Stages) -> Any:  # noqa: ANN401
    """An IProgressMonitor of a TensorRT library that tells `stages`."""

    class Monitor(library.IProgressMonitor):  # type: ignore[misc]  # its base is known at run time
        def __init__(self) -> None:
            super().__init__()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            stages.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return stages.step(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            stages.finish(phase_name)

    return Monitor()
