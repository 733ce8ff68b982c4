"""The thread that owns the device: three verbs in a loop, and a door for everybody else.

Between two evaluations there is time for what others want of the device: calls, and a turn of what
takes long. A thread beside it has what needs no device.

Callers hand in jobs and get futures. A failure belongs to the jobs it hit: a network that fails
takes the pictures of its call with it, a fault of the device all that are waiting, and memory that
runs out takes none as long as smaller calls are left to try.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from time import monotonic
from typing import Any, Generic, TypeVar

from sakuga.engine.backend.base import Device, Pixels
from sakuga.engine.errors import DeviceMemoryError, EngineFault, SakugaError
from sakuga.engine.runtime.batcher import Batch, Batcher
from sakuga.engine.runtime.beside import Beside
from sakuga.engine.runtime.outcomes import broken, closed, fail, resolve, too_late
from sakuga.engine.runtime.policy import Policy
from sakuga.engine.runtime.runner import Previews, Runner
from sakuga.engine.runtime.size_queue import UnreadyError
from sakuga.engine.runtime.slot import Slot
from sakuga.engine.runtime.turns import Pausing, Turns

T = TypeVar("T")
_Message = Callable[[SakugaError | None], None]  # given why the engine has ended, if it has


@dataclass(eq=False)
class Job(Generic[T]):
    """A picture on its way. On the worker's thread `on_step` is told after every evaluation and
    `finish` is given the slot after the last; `on_preview` is given previews that have come, on
    whatever thread.

    Cancelling `result` takes the picture off the device before the next evaluation.
    """

    slot: Slot
    finish: Callable[[Device, Slot], "Future[T]"]
    on_step: Callable[[Slot], None] | None = None
    on_preview: Callable[["Future[Pixels]"], None] | None = None
    result: "Future[T]" = field(default_factory=Future)


class Worker:
    """Owns a device, which `open_device` makes on the worker's own thread.

    `clock`: seconds, for deadlines. `evaluations` and `rows` count what the device has done.
    """

    def __init__(
        self,
        open_device: Callable[[], Device],
        policy: Policy | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.evaluations = self.rows = 0
        self._policy, self._clock = policy, clock
        self._inbox: SimpleQueue[_Message] = SimpleQueue()
        self._jobs: dict[Slot, Job[Any]] = {}
        self._turns = Turns()
        self._beside = Beside()
        self._open_device = open_device
        self._opened: Future[Device] = Future()
        self._ended: SakugaError | None = None
        self._door = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="sakuga-device", daemon=True)
        self._thread.start()

    @property
    def device(self) -> Device:
        """The device, once it is open. Raises what opening it raised."""
        return self._opened.result()

    @property
    def fault(self) -> EngineFault | None:
        """Why this process must be replaced, None while it need not be."""
        return self._ended if isinstance(self._ended, EngineFault) else None

    def submit(self, job: Job[T]) -> "Future[T]":
        """Take a job; its result. Raises SakugaError where the engine is closed or broken."""
        self._post(lambda ended: self._begin(job, ended))
        return job.result

    def call(self, work: Callable[[Device], T]) -> "Future[T]":
        """Do something else on the worker's thread, between two evaluations; nothing once its
        result is cancelled."""
        result: Future[T] = Future()

        def message(ended: SakugaError | None) -> None:
            if ended is not None:
                fail(result, ended)
            elif not result.cancelled():
                resolve(result, lambda: work(self.device))
                self._raise_fault(result)

        self._post(message)
        return result

    def take_turns(self, begin: Callable[[Device], Pausing[T]]) -> "Future[T]":
        """The same for what takes long: a turn of it, up to its next pause, between two evaluations
        of others. Cancelling its result ends it at the next pause."""
        result: Future[T] = Future()

        def message(ended: SakugaError | None) -> None:
            if ended is not None:
                fail(result, ended)
            else:
                self._turns.add(lambda: begin(self.device), result)

        self._post(message)
        return result

    def aside(self, work: Callable[[], T]) -> "Future[T]":
        """Do something that needs no device, on a thread beside the worker's. Raises SakugaError
        where the engine is closed or broken."""
        with self._door:
            if self._ended is not None:
                raise self._ended
            return self._beside.submit(work)

    def close(self) -> None:
        """Stop after the evaluation at work; jobs that are waiting learn that the engine closed."""
        with self._door:
            self._ended = self._ended or closed()
            self._inbox.put(lambda ended: None)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _post(self, message: _Message) -> None:
        with self._door:
            if self._ended is not None:
                raise self._ended
            self._inbox.put(message)

    def _run(self) -> None:
        try:
            device = self._open_device()
        except BaseException as error:  # handed to whoever asks for the device
            self._opened.set_exception(error)
            self._end(error if isinstance(error, SakugaError) else closed())
            return
        self._opened.set_result(device)
        try:
            self._work(device)
        except EngineFault as fault:
            self._ended = fault
        except Exception as error:  # nothing foreseen it; nobody may wait for ever
            self._ended = broken(error)
        finally:
            self._end(self._ended or closed())
            with suppress(EngineFault):
                device.close()

    def _work(self, device: Device) -> None:
        self._batcher = Batcher(device.slots, device.rows, self._policy)
        with closing(Runner(device)) as runner:
            while self._ended is None:
                while self._ended is None and not (self._inbox.empty() and self._busy):
                    self._inbox.get()(None)
                self._drop_expired(device)
                if self._ended is None and self._batcher.waiting:
                    self._tick(device, runner)
                if self._ended is None and self._turns:
                    self._turns.take(device.turn_s)

    @property
    def _busy(self) -> bool:
        return bool(self._batcher.waiting or self._turns)

    def _begin(self, job: Job[Any], ended: SakugaError | None) -> None:
        if ended is not None:
            fail(job.result, ended)
        elif not job.result.cancelled():
            self._jobs[job.slot] = job
            self._batcher.add(job.slot)
            job.result.add_done_callback(lambda result: self._left(job, result))

    def _left(self, job: Job[T], result: "Future[T]") -> None:
        """On whatever thread: who cancels has it dropped before the next evaluation."""
        if result.cancelled():
            self._inbox.put(lambda ended: None if ended else self._drop(job))

    def _tick(self, device: Device, runner: Runner) -> None:
        try:
            batch = self._batcher.next()
        except UnreadyError as unready:
            self._lose(device, [unready.slot], unready.__cause__ or unready)
            if isinstance(unready.__cause__, EngineFault):
                raise unready.__cause__ from None
            return
        try:
            previews = runner.run(batch)
        except DeviceMemoryError as error:
            rows = device.shrink()
            if rows:
                self._batcher.limit(rows)
            else:
                self._lose(device, batch.slots, error)
            return
        except EngineFault:
            raise
        except Exception as error:  # a network's; it has hit these pictures alone
            self._lose(device, batch.slots, error)
            return
        device.pace()  # or the device has more before it than anybody could still join or leave
        self._advance(device, batch, previews)

    def _advance(self, device: Device, batch: Batch, previews: Previews) -> None:
        """After an evaluation: whoever watches is told, who is finished is decoded."""
        self.evaluations += 1
        self.rows += sum(len(slot.sources) for slot in batch.slots)
        for slot, preview in previews.items():
            if (watch := self._jobs[slot].on_preview) is not None:
                preview.add_done_callback(watch)
        finished = self._batcher.done(batch)
        for slot in batch.slots:
            self._tell(device, slot)
        for slot in finished:
            if (job := self._jobs.pop(slot, None)) is not None:
                self._finish(device, slot, job)
        if finished:
            device.flush()

    def _finish(self, device: Device, slot: Slot, job: Job[Any]) -> None:
        try:
            finished = job.finish(device, slot)
        except EngineFault:
            self._jobs[slot] = job  # to be told with the others
            raise
        except Exception as error:
            fail(job.result, error)
        else:
            finished.add_done_callback(lambda done: self._delivered(job, done))
        device.leave(slot.latent, slot.place)

    def _delivered(self, job: Job[T], done: "Future[T]") -> None:
        """On whatever thread; a fault found there is the worker's to know."""
        resolve(job.result, done.result)
        if isinstance(done.exception(), EngineFault):
            self._inbox.put(lambda ended: None if ended else self._raise_fault(done))

    def _raise_fault(self, done: "Future[Any]") -> None:
        if not done.cancelled() and isinstance(fault := done.exception(), EngineFault):
            raise fault

    def _tell(self, device: Device, slot: Slot) -> None:
        job = self._jobs[slot]
        if job.on_step is not None:
            try:
                job.on_step(slot)
            except Exception as error:  # the caller's own
                self._forget(device, slot)
                fail(job.result, error)

    def _lose(self, device: Device, slots: Sequence[Slot], error: BaseException) -> None:
        for slot in slots:
            job = self._jobs[slot]
            try:
                self._forget(device, slot)
            finally:  # whatever the device makes of it, nobody may wait for ever
                fail(job.result, error)

    def _drop(self, job: Job[Any]) -> None:
        if job.slot in self._jobs:
            self._forget(self.device, job.slot)

    def _drop_expired(self, device: Device) -> None:
        for slot in self._batcher.expired(self._clock()):
            self._lose(device, [slot], too_late(slot))

    def _forget(self, device: Device, slot: Slot) -> None:
        self._jobs.pop(slot, None)
        self._batcher.discard(slot)
        if slot.place >= 0:
            device.leave(slot.latent, slot.place)

    def _end(self, error: SakugaError) -> None:
        with self._door:
            self._ended = error
        self._beside.end(error)
        while not self._inbox.empty():
            self._inbox.get()(error)
        for job in self._jobs.values():
            fail(job.result, error)
        self._jobs.clear()
        self._turns.end(error)
