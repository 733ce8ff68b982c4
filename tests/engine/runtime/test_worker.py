"""The thread that owns the device: joining, leaving, failing. A device without a network."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from time import sleep
from typing import Any

import numpy as np
import pytest

from sakuga.engine.backend.base import Array, Block, Decoded, Latent, Pixels, Start
from sakuga.engine.errors import (
    DeadlineError,
    DeviceMemoryError,
    EngineFault,
    RenderError,
    SakugaError,
)
from sakuga.engine.runtime.request import Defaults, Request
from sakuga.engine.runtime.resolve import resolve
from sakuga.engine.runtime.slot import RowSource, Slot
from sakuga.engine.runtime.turns import Pausing
from sakuga.engine.runtime.worker import Job, Worker
from sakuga.engine.text.conditioning import Conditioning
from sakuga.kernels.launch import Seat
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import SDXL_TINY

WAIT_S = 20


class FakeLane:
    """Counts steps; `trouble` may raise before one."""

    def __init__(self, device: "FakeDevice") -> None:
        self._device = device

    def start(self, starts: Sequence[Start]) -> None:
        self._device.started += [start.slot for start in starts]

    def condition(self, chunks: int, row: int, inputs: Mapping[str, Array]) -> None:
        pass

    def seat(self, seats: Sequence[Seat], steps: Sequence[int]) -> None:
        pass

    def expect(self, seats: Sequence[Seat], steps: Sequence[int]) -> None:
        pass

    def evaluate(self, block: Block) -> None:
        self._device.trouble(self._device)

    def give(self, slot: int, noise: Latent) -> None:
        pass

    def foresee(self, seat: Seat, step: int, a: float, b: float) -> "Future[Pixels]":
        found: Future[Pixels] = Future()
        found.set_result(np.zeros((2, 2, 3), np.uint8))
        return found

    def step(self, seats: Sequence[Seat], steps: Sequence[int]) -> None:
        self._device.steps.append([seat.slot for seat in seats])

    def latent(self, slot: int) -> Latent:
        return np.zeros((4, 2, 2), np.float32)


class FakeDevice:
    name, sizes, residency, turn_s = "fake", None, "", 0.0

    def __init__(
        self, slots: int = 2, trouble: Callable[["FakeDevice"], None] = lambda device: None
    ) -> None:
        self.slots, self.rows, self.trouble = slots, 8, trouble
        self.steps: list[list[int]] = []
        self.started: list[int] = []
        self.left: list[int] = []
        self.paced = self.shrunk = 0
        self.closed = False

    def network(self, name: str) -> Any:  # noqa: ANN401 (nothing asks for one)
        raise NotImplementedError

    def upscaler(self, folder: Any) -> Any:  # noqa: ANN401 (nor for this)
        raise NotImplementedError

    def lane(self, latent: tuple[int, int]) -> FakeLane:
        return FakeLane(self)

    def leave(self, latent: tuple[int, int], slot: int) -> None:
        self.left.append(slot)

    def decode(self, latent: tuple[int, int], slot: int, rounding: Any) -> "Future[Decoded]":  # noqa: ANN401
        raise NotImplementedError

    def encode(self, image: Any) -> Any:  # noqa: ANN401
        raise NotImplementedError

    def flush(self) -> None:
        pass

    def pace(self) -> None:
        self.paced += 1

    def shrink(self) -> int:
        self.shrunk += 1
        self.rows //= 2
        return self.rows

    def close(self) -> None:
        self.closed = True


def slow_device() -> FakeDevice:
    """One that leaves everybody else time to act before a thousand steps are over."""
    return FakeDevice(slots=1, trouble=lambda device: sleep(1e-3))


def slot_of(ticket: int, steps: int = 3, **wishes: Any) -> Slot:  # noqa: ANN401
    request = Request("", steps=steps, guidance=1.0)
    settings = resolve(request, SDXL_TINY, Defaults(Size(128, 128)), "epsilon")
    conditioning = Conditioning(np.zeros((77, 8), np.float32), None)
    rows = ((RowSource(conditioning, 1.0),),) * steps
    given: dict[str, Any] = {"encode": lambda: rows} | wishes
    return Slot(ticket, settings, **given)


def job_of(ticket: int, steps: int = 3, **more: Any) -> Job[int]:  # noqa: ANN401
    def finish(device: Any, slot: Slot) -> "Future[int]":  # noqa: ANN401
        done: Future[int] = Future()
        done.set_result(slot.ticket)
        return done

    return Job(**({"slot": slot_of(ticket, steps), "finish": finish} | more))


def test_pictures_share_steps_and_come_out() -> None:
    device = FakeDevice()
    worker = Worker(lambda: device)
    gate = threading.Event()
    worker.call(lambda _: gate.wait(WAIT_S))  # so that all are there before the first step
    results = [worker.submit(job_of(ticket, steps)) for ticket, steps in ((0, 2), (1, 3), (2, 1))]
    gate.set()
    assert [result.result(WAIT_S) for result in results] == [0, 1, 2]
    worker.close()
    assert device.steps == [[0, 1], [0, 1], [1, 0]]
    assert device.started == [0, 1, 0] and sorted(device.left) == [0, 0, 1]
    assert device.closed


def test_a_cancelled_picture_leaves_before_the_next_step() -> None:
    device, begun, gate = FakeDevice(slots=1), threading.Event(), threading.Event()

    def watch(slot: Slot) -> None:
        begun.set()
        gate.wait(WAIT_S)

    worker = Worker(lambda: device)
    long = worker.submit(job_of(0, 500, on_step=watch))
    after = worker.submit(job_of(1, 1))
    assert begun.wait(WAIT_S)
    long.cancel()
    gate.set()
    assert after.result(WAIT_S) == 1
    worker.close()
    assert len(device.steps) == 2 and device.left == [0, 0]


def test_every_step_is_paced_and_watchers_are_told() -> None:
    device = FakeDevice()
    worker = Worker(lambda: device)
    told: list[int] = []
    worker.submit(job_of(0, 3)).result(WAIT_S)
    worker.submit(job_of(1, 3, on_step=lambda slot: told.append(slot.step))).result(WAIT_S)
    worker.close()
    assert device.paced == 6 and told == [1, 2, 3]
    assert worker.evaluations == 6 and worker.rows == 6


def test_a_failure_hits_the_pictures_of_its_call_alone() -> None:
    def trouble(device: FakeDevice) -> None:
        if len(device.steps) == 1:
            device.steps.append([])
            raise RenderError("no")

    device = FakeDevice(slots=1, trouble=trouble)
    worker = Worker(lambda: device)
    results = [worker.submit(job_of(ticket)) for ticket in range(2)]
    with pytest.raises(RenderError, match="no"):
        results[0].result(WAIT_S)
    assert results[1].result(WAIT_S) == 1
    assert worker.fault is None
    worker.close()


def test_a_watcher_that_fails_loses_its_own_picture() -> None:
    def watch(slot: Slot) -> None:
        raise ValueError("mine")

    worker = Worker(FakeDevice)
    lost, kept = worker.submit(job_of(0, on_step=watch)), worker.submit(job_of(1))
    with pytest.raises(ValueError, match="mine"):
        lost.result(WAIT_S)
    assert kept.result(WAIT_S) == 1
    worker.close()


def test_a_prompt_that_fails_loses_its_own_picture() -> None:
    def fail() -> Any:  # noqa: ANN401
        raise RenderError("prompt")

    worker = Worker(FakeDevice)
    with pytest.raises(RenderError, match="prompt"):
        worker.submit(job_of(0, slot=slot_of(0, encode=fail))).result(WAIT_S)
    assert worker.submit(job_of(1)).result(WAIT_S) == 1
    worker.close()


def test_memory_that_runs_out_takes_no_picture_while_fewer_rows_are_left() -> None:
    def trouble(device: FakeDevice) -> None:
        if device.rows > 2:
            raise DeviceMemoryError("full")

    device = FakeDevice(slots=4, trouble=trouble)
    worker = Worker(lambda: device)
    results = [worker.submit(job_of(ticket)) for ticket in range(4)]
    assert [result.result(WAIT_S) for result in results] == [0, 1, 2, 3]
    assert device.shrunk == 2 and max(map(len, device.steps)) <= 2
    worker.close()


def test_memory_that_never_suffices_is_an_error() -> None:
    def trouble(device: FakeDevice) -> None:
        raise DeviceMemoryError("full")

    worker = Worker(lambda: FakeDevice(trouble=trouble))
    with pytest.raises(DeviceMemoryError, match="full"):
        worker.submit(job_of(0)).result(WAIT_S)
    worker.close()


def test_a_fault_of_the_device_is_everybody_s() -> None:
    def trouble(device: FakeDevice) -> None:
        gate.wait(WAIT_S)
        raise EngineFault("gone")

    gate = threading.Event()
    worker = Worker(lambda: FakeDevice(slots=1, trouble=trouble))
    results = [worker.submit(job_of(ticket)) for ticket in range(5)]
    gate.set()
    for result in results:
        with pytest.raises(EngineFault, match="gone"):
            result.result(WAIT_S)
    with pytest.raises(EngineFault, match="gone"):
        worker.submit(job_of(9)).result(WAIT_S)
    assert worker.fault is not None
    worker.close()


def test_closing_ends_what_is_under_way() -> None:
    device, begun = slow_device(), threading.Event()
    worker = Worker(lambda: device)
    results = [worker.submit(job_of(n, 1000, on_step=lambda slot: begun.set())) for n in range(3)]
    assert begun.wait(WAIT_S)
    worker.close()
    for result in results:
        with pytest.raises(SakugaError, match="closed"):
            result.result(WAIT_S)
    with pytest.raises(SakugaError, match="closed"):
        worker.submit(job_of(4))
    assert device.closed and len(device.steps) < 1000


def test_a_device_that_does_not_open_says_why() -> None:
    def fail() -> FakeDevice:
        raise DeviceMemoryError("too small")

    worker = Worker(fail)
    with pytest.raises(DeviceMemoryError, match="too small"):
        _ = worker.device
    with pytest.raises(DeviceMemoryError, match="too small"):
        worker.submit(job_of(0)).result(WAIT_S)
    worker.close()


def test_prompts_are_encoded_when_their_picture_begins() -> None:
    encoded: list[int] = []

    def slot(ticket: int) -> Slot:
        made = slot_of(ticket, 2)

        def encode() -> Any:  # noqa: ANN401
            encoded.append(len(device.steps))
            return made.rows

        return slot_of(ticket, 2, encode=encode)

    device, gate = FakeDevice(slots=1), threading.Event()
    worker = Worker(lambda: device)
    worker.call(lambda _: gate.wait(WAIT_S))
    results = [worker.submit(job_of(ticket, slot=slot(ticket))) for ticket in range(3)]
    gate.set()
    for result in results:
        result.result(WAIT_S)
    worker.close()
    assert encoded == [0, 2, 4]


def test_a_fault_while_encoding_is_everybody_s() -> None:
    def fail() -> Any:  # noqa: ANN401
        raise EngineFault("gone")

    worker = Worker(lambda: FakeDevice(slots=1))
    first = worker.submit(job_of(0, slot=slot_of(0, encode=fail)))
    with pytest.raises(EngineFault, match="gone"):
        first.result(WAIT_S)
    with pytest.raises(EngineFault, match="gone"):
        worker.submit(job_of(1)).result(WAIT_S)
    worker.close()


def test_a_picture_nobody_waits_for_any_more_is_given_up() -> None:
    now = [0.0]

    def trouble(device: FakeDevice) -> None:
        now[0] += 1

    device = FakeDevice(slots=1, trouble=trouble)
    worker = Worker(lambda: device, clock=lambda: now[0])
    late = worker.submit(job_of(0, slot=slot_of(0, 9, deadline=2.5)))
    with pytest.raises(DeadlineError, match=r"3 of 9|is over"):
        late.result(WAIT_S)
    assert worker.submit(job_of(1)).result(WAIT_S) == 1
    worker.close()
    assert len(device.steps) == 3 + 3 and device.left == [0, 0]


def test_previews_go_to_who_asked() -> None:
    seen: list[int] = []
    worker = Worker(FakeDevice)
    job = job_of(0, slot=slot_of(0, 6, preview_every=2), on_preview=lambda p: seen.append(1))
    worker.submit(job).result(WAIT_S)
    worker.submit(job_of(1, slot=slot_of(1, 6, preview_every=4))).result(WAIT_S)  # nobody looks
    worker.close()
    assert len(seen) == 3


def test_cancelling_is_no_error_of_the_worker() -> None:
    worker = Worker(FakeDevice)
    job = job_of(0)
    job.result.cancel()
    with pytest.raises(CancelledError):
        worker.submit(job).result(WAIT_S)
    assert worker.submit(job_of(1)).result(WAIT_S) == 1
    worker.close()


def test_a_turn_of_other_work_comes_between_evaluations() -> None:
    device, seen = FakeDevice(), list[int]()
    worker = Worker(lambda: device)
    gate = threading.Event()
    worker.call(lambda _: gate.wait(WAIT_S))

    def pausing(_: Any) -> Pausing[str]:  # noqa: ANN401
        for _ in range(3):
            seen.append(len(device.steps))
            yield
        return "done"

    picture, other = worker.submit(job_of(0, 6)), worker.take_turns(pausing)
    gate.set()
    assert picture.result(WAIT_S) == 0 and other.result(WAIT_S) == "done"
    assert seen == [1, 2, 3]
    alone = worker.take_turns(pausing)  # with nothing to wait for
    assert alone.result(WAIT_S) == "done" and seen[3:] == [6, 6, 6]
    worker.close()


def test_a_fault_in_a_turn_is_everybody_s() -> None:
    worker = Worker(slow_device)

    def faulty(_: Any) -> Pausing[str]:  # noqa: ANN401
        yield
        raise EngineFault("The GPU is gone.")

    picture = worker.submit(job_of(0, 1000))
    for waits in (worker.take_turns(faulty), picture):
        with pytest.raises(EngineFault):
            waits.result(WAIT_S)
    assert isinstance(worker.fault, EngineFault)
    for hand_in in (worker.take_turns, worker.aside):
        with pytest.raises(EngineFault):
            hand_in(faulty)  # type: ignore[arg-type]
    worker.close()


def test_closing_ends_turns_and_what_waits_beside() -> None:
    worker = Worker(FakeDevice)
    begun, gate = threading.Event(), threading.Event()

    def endless(_: Any) -> Pausing[str]:  # noqa: ANN401
        while True:
            begun.set()
            yield

    def hold() -> str:
        assert gate.wait(WAIT_S)
        return "held"

    turns, held, waiting = worker.take_turns(endless), worker.aside(hold), worker.aside(hold)
    assert begun.wait(WAIT_S)
    worker.close()
    gate.set()
    assert held.result(WAIT_S) == "held"  # it was at work
    for ended in (turns, waiting):
        with pytest.raises(SakugaError, match="closed"):
            ended.result(WAIT_S)


def test_what_is_done_aside_keeps_no_step_waiting() -> None:
    worker, gate, threads = Worker(FakeDevice), threading.Event(), list[str]()

    def hold() -> None:
        threads.append(threading.current_thread().name)
        assert gate.wait(WAIT_S)
        raise KeyError("a")

    aside, cancelled = worker.aside(hold), worker.aside(hold)
    assert cancelled.cancel()
    assert worker.submit(job_of(0)).result(WAIT_S) == 0  # meanwhile
    gate.set()
    with pytest.raises(KeyError):
        aside.result(WAIT_S)
    worker.aside(lambda: None).result(WAIT_S)  # so the cancelled one's turn is over
    assert len(threads) == 1 and threads[0].startswith("sakuga-beside")
    worker.close()
