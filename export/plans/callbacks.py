"""What a TensorRT library calls while it builds: progress, log, the plan's bytes.

The library swallows what a callback raises, prints it, and goes on, in the worst case to a plan
that looks good and is empty. So the first exception is kept here, the build is told to stop, and
whoever began it raises the exception again.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sakuga.export.hashing_writer import HashingWriter
from sakuga.export.plans.log import BuildLog
from sakuga.export.plans.stages import Stages

# TensorRT remembers the first logger of a process and calls it to the end: none may be collected.
_LOGGERS: list[Any] = []


class Guard:
    """Runs callbacks and keeps the first exception of all of them."""

    def __init__(self) -> None:
        self.failure: Exception | None = None

    def run(self, call: Callable[[], None]) -> bool:
        """Run a callback unless one has failed before; whether all went well."""
        if self.failure is None:
            try:
                call()
            except Exception as error:  # handed to whoever began the build
                self.failure = error
        return self.failure is None

    def check(self) -> None:
        """Raise what was kept."""
        if self.failure is not None:
            raise self.failure


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """While a library may call back. It does so under a lock of its own, which the destructors of
    its objects take too: a collection inside a callback that meets an older builder in a cycle
    would wait for itself for ever."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def monitor(library: Any, stages: Stages, guard: Guard) -> Any:  # noqa: ANN401
    """An IProgressMonitor that tells `stages`."""

    class Monitor(library.IProgressMonitor):  # type: ignore[misc]  # its base is known at run time
        def __init__(self) -> None:
            super().__init__()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            guard.run(lambda: stages.start(phase_name, parent_phase, num_steps))

        def step_complete(self, phase_name: str, step: int) -> bool:
            return guard.run(lambda: stages.step(phase_name, step))

        def phase_finish(self, phase_name: str) -> None:
            guard.run(lambda: stages.finish(phase_name))

    return Monitor()


def logger(library: Any, log: BuildLog, guard: Guard) -> Any:  # noqa: ANN401
    """An ILogger that writes to `log`."""

    class Logger(library.ILogger):  # type: ignore[misc]  # its base is known at run time
        def __init__(self) -> None:
            super().__init__()

        def log(self, severity: Any, msg: str) -> None:  # noqa: ANN401
            guard.run(lambda: log.write(severity.name, msg))

    made = Logger()
    _LOGGERS.append(made)
    return made


def stream_writer(library: Any, writer: HashingWriter, guard: Guard) -> Any:  # noqa: ANN401
    """An IStreamWriter that writes through `writer`: a plan is never in memory as one piece."""

    class Stream(library.IStreamWriter):  # type: ignore[misc]  # its base is known at run time
        def __init__(self) -> None:
            super().__init__()

        def write(self, data: bytes) -> int:
            return len(data) if guard.run(lambda: writer.write(data)) else 0

    return Stream()
