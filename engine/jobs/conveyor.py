"""Pictures from the engine to the disk: some on the device, some being written, none piling up."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Protocol

from sakuga.engine.jobs.outcome import Failed, Outcome, Task, Written, is_own
from sakuga.engine.jobs.stop import Stop
from sakuga.engine.runtime.picture import Picture
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.ticket import Progress

DRAIN_SECONDS = 20.0  # for pictures begun when somebody asks to stop; schedulers kill after 30
_MOST_WRITERS = 4
_LOOK_SECONDS = 0.2  # how often to look at the clock, and at how far pictures are


class Promise(Protocol):
    """What the conveyor needs of a `Ticket`."""

    @property
    def done(self) -> bool: ...
    def result(self, timeout: float | None = None) -> Picture: ...
    def cancel(self) -> bool: ...
    def progress(self) -> Progress: ...
    def add_done_callback(self, work: Callable[["Promise"], None]) -> None: ...


class Renderer(Protocol):
    """What the conveyor needs of an `Engine`."""

    @property
    def appetite(self) -> int: ...
    def submit(self, request: Request) -> Promise: ...


@dataclass(frozen=True)
class _Broken:
    """A failure that is not the picture's own: nothing more can be made."""

    task: Task
    error: BaseException


@dataclass(frozen=True)
class _Dropped:
    """A picture that was taken off the device."""

    task: Task


_Event = Outcome | _Broken | _Dropped | None  # None: look again


class Conveyor:
    """Renders tasks in their order and has each picture written on a thread of its own.

    `write` puts a picture on the disk; `keep` is told of every outcome, on the thread that runs
    the conveyor, before anybody else is; `look` is called now and then with how far the pictures
    on the device are, as the sum of their shares.
    """

    def __init__(
        self,
        engine: Renderer,
        write: Callable[[Task, Picture], Written],
        keep: Callable[[list[Outcome]], None],
        stop: Stop,
        look: Callable[[float], None] | None = None,
    ) -> None:
        self._engine, self._write, self._keep, self._stop = engine, write, keep, stop
        self._look = look
        self._inside: dict[str, Promise] = {}  # by path
        self._events: SimpleQueue[_Event] = SimpleQueue()
        self._trouble: BaseException | None = None
        self._deadline: float | None = None
        self._before = monotonic()

    def run(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """What becomes of the tasks, as it comes; fewer than were asked for where somebody asks to
        stop. Raises what stands in the way of all further pictures, once those that are being
        written are kept: OSError, EngineFault, BundleError.
        """
        source = iter(tasks)
        writers = min(_MOST_WRITERS, os.cpu_count() or 1)
        with (
            ThreadPoolExecutor(writers, "sakuga-writer") as pool,
            self._stop.listening(lambda: self._events.put(None)),
        ):
            try:
                while self._fill(source, pool, 2 * writers):
                    yield from self._arrived()
                    self._wind_up()
            finally:
                self._empty()
        if self._trouble is not None:
            raise self._trouble

    def _fill(self, source: Iterator[Task], pool: ThreadPoolExecutor, spare: int) -> bool:
        """Hand in what the device can use; whether anything is on its way."""
        appetite = self._engine.appetite
        while self._trouble is None and not self._stop.asked:
            cooking = sum(not promise.done for promise in self._inside.values())
            if cooking >= appetite or len(self._inside) >= appetite + spare:
                break
            task = next(source, None)
            if task is None:
                break
            self._hand_in(task, pool)
        return bool(self._inside) or not self._events.empty()

    def _hand_in(self, task: Task, pool: ThreadPoolExecutor) -> None:
        try:
            promise = self._engine.submit(task.job.request)
        except Exception as error:
            if not is_own(error):
                raise
            self._events.put(Failed(task, error))  # one that was not checked before
            return
        self._inside[task.path] = promise

        def made(_: Promise) -> None:
            self._events.put(None)
            pool.submit(self._finish, task, promise)

        promise.add_done_callback(made)

    def _finish(self, task: Task, promise: Promise) -> None:
        """On a writer's thread."""
        event: _Event
        try:
            event = self._write(task, promise.result())
        except CancelledError:
            event = _Dropped(task)
        except BaseException as error:  # told where the conveyor runs
            event = Failed(task, error) if is_own(error) else _Broken(task, error)
        self._events.put(event)

    def _arrived(self) -> list[Outcome]:
        """What has come since, at least one event of any kind or a moment's wait."""
        events: list[_Event] = []
        with suppress(Empty):
            events.append(self._events.get(timeout=_LOOK_SECONDS))
            while True:
                events.append(self._events.get_nowait())
        outcomes: list[Outcome] = []
        for event in events:
            if event is not None:
                self._inside.pop(event.task.path, None)
            if isinstance(event, _Broken):
                self._trouble = self._trouble or event.error
            elif isinstance(event, Written):
                outcomes.append(self._timed(event))
            elif isinstance(event, Failed):
                outcomes.append(event)
        if outcomes:
            self._keep(outcomes)
        elif self._look is not None:
            self._look(sum(_share(promise) for promise in self._inside.values()))
        return outcomes

    def _timed(self, written: Written) -> Written:
        before, self._before = self._before, monotonic()
        return replace(written, seconds=round(self._before - before, 3))

    def _wind_up(self) -> None:
        """Take off the device what need not be finished."""
        if self._trouble is not None:
            self._cancel(lambda promise: True)
        elif self._stop.asked:
            if self._deadline is None:
                self._deadline = monotonic() + DRAIN_SECONDS
                self._cancel(lambda promise: promise.progress().done == 0)
            elif monotonic() > self._deadline:
                self._cancel(lambda promise: True)

    def _cancel(self, unwanted: Callable[[Promise], bool]) -> None:
        for promise in self._inside.values():
            if not promise.done and unwanted(promise):
                promise.cancel()

    def _empty(self) -> None:
        """However it ends: what is being written is kept, the rest taken off the device."""
        self._cancel(lambda promise: True)
        while self._inside:
            try:
                self._arrived()
            except Exception as error:  # what was not kept is made again
                self._trouble = self._trouble or error


def _share(promise: Promise) -> float:
    progress = promise.progress()
    return progress.done / (progress.total + 1)  # decoding and writing are still to come
