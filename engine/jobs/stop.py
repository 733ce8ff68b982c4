"""Ctrl-C and SIGTERM: asked once, the work is brought to an end; asked twice, it ends at once."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from sakuga.engine.errors import StoppedError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether somebody asked to stop. Whoever can stop in its own time `listens` meanwhile."""

    def __init__(self) -> None:
        self.asked = False
        self._wake: Callable[[], None] | None = None

    def ask(self) -> bool:
        """Ask to stop; whether somebody listens."""
        self.asked = True
        if self._wake is not None:
            self._wake()
        return self._wake is not None

    @contextmanager
    def listening(self, wake: Callable[[], None]) -> Iterator[None]:
        """Within the block, being asked calls `wake` and nothing else."""
        self._wake = wake
        try:
            yield
        finally:
            self._wake = None


@contextmanager
def stop_signals() -> Iterator[Stop]:
    """Within the block Ctrl-C and SIGTERM ask to stop: KeyboardInterrupt where nobody listens.

    A second one ends the process, which loses no more than a kill. On another thread than the main
    one, which alone gets signals, nothing happens.
    """
    stop = Stop()

    def asked(number: int, frame: FrameType | None) -> None:
        if stop.asked:
            os.write(sys.stderr.fileno(), b"Stopped at once.\n")
            os._exit(StoppedError.exit_code)
        if not stop.ask():
            raise KeyboardInterrupt
        os.write(
            sys.stderr.fileno(), b"Stopping: what has begun is finished. Once more: at once.\n"
        )

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, asked) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
