"""The smaller parts of the CUDA device, each alone."""

from concurrent.futures import Future
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.backend.cuda.calls import MAX_CALLS, Calls, padded_rows
from sakuga.engine.backend.cuda.courier import Courier, Delivery
from sakuga.engine.backend.cuda.driver import Stream
from sakuga.engine.backend.cuda.host_driver import HostDriver
from sakuga.engine.backend.cuda.pool import Pool, allocate_all
from sakuga.engine.backend.cuda.session import Arena, Binding
from sakuga.engine.backend.cuda.staging import _HALF_BYTES, Staging
from sakuga.engine.errors import DeviceMemoryError


class Counting:
    """A session whose runs are only counted."""

    def __init__(self) -> None:
        self.bound = self.open = self.runs = self.rebased = 0
        self.closed = False

    def bind(self, tensors: object, arena: Arena) -> Binding:
        arena.reserve(1024)
        self.bound += 1
        self.open += 1
        return _Run(self)

    def close(self) -> None:
        self.closed = True


class _Run:
    capturable = True

    def rebase(self, arena: Arena) -> None:
        arena.reserve(1024)
        self._session.rebased += 1

    def __init__(self, session: Counting) -> None:
        self._session = session

    def launch(self, stream: Stream) -> None:
        stream.put(self._count)  # type: ignore[attr-defined]

    def _count(self) -> None:
        self._session.runs += 1

    def close(self) -> None:
        self._session.open -= 1


@given(st.integers(1, 64), st.integers(1, 64))
def test_rows_are_padded_by_a_quarter_at_most(rows: int, most: int) -> None:
    rows = min(rows, most)
    found = padded_rows(rows, most, "captured")
    assert rows <= found <= most and found <= max(8, 1.25 * rows)
    assert (padded_rows(rows, most, "none"), padded_rows(rows, most, "full")) == (rows, most)


def test_the_first_run_is_plain_the_second_captured_the_rest_replayed() -> None:
    driver, session = HostDriver(), Counting()
    arena = Arena(driver, driver.create_stream())
    calls = Calls(driver, arena, lambda stream: session, graphs=True)
    for launches in range(1, 5):
        calls.launch(("key",), dict)
        arena.stream.sync()
        assert session.runs == launches
        assert driver.launches.count("graph") == max(launches - 1, 0)
    assert session.bound == 1
    calls.unload()
    assert session.closed and session.open == 0


def test_a_run_follows_its_memory_and_is_captured_anew() -> None:
    driver, session = HostDriver(), Counting()
    arena = Arena(driver, driver.create_stream())
    calls = Calls(driver, arena, lambda stream: session, graphs=True)
    for _ in range(2):
        calls.launch(("key",), dict)
    arena.reserve(4096)
    calls.launch(("key",), dict)
    assert (session.bound, session.open, session.rebased) == (1, 1, 1)
    assert driver.launches.count("graph") == 2


def test_the_least_recently_used_runs_go() -> None:
    driver, session = HostDriver(), Counting()
    arena = Arena(driver, driver.create_stream())
    calls = Calls(driver, arena, lambda stream: session, graphs=True)
    for key in range(MAX_CALLS):
        calls.launch((key,), dict)
    calls.launch((0,), dict)  # used again, so 1 is the oldest
    calls.launch(("one more",), dict)
    assert session.open == MAX_CALLS
    calls.launch((0,), dict)
    assert session.bound == MAX_CALLS + 1
    calls.launch((1,), dict)
    assert session.bound == MAX_CALLS + 2


@pytest.mark.parametrize("sizes", [[100, 7, 4096], [_HALF_BYTES] * 3, [3 * _HALF_BYTES + 5, 9]])
def test_uploads_arrive_whole_whatever_becomes_of_their_arrays(sizes: list[int]) -> None:
    driver = HostDriver()
    stream = driver.create_stream()
    staging = Staging(driver, stream)
    generator = np.random.default_rng(0)
    sent = []
    for size in sizes:
        array = generator.integers(0, 256, size, np.uint8)
        buffer = driver.allocate(size)
        sent.append((buffer, array.copy()))
        staging.upload(buffer.address, array)
        array[...] = 0
    stream.sync()
    for buffer, wanted in sent:
        assert np.array_equal(buffer.bytes, wanted)  # type: ignore[attr-defined]
    staging.close()


def test_a_pool_keeps_what_it_is_given_and_asks_for_no_more() -> None:
    driver = HostDriver()
    pool = Pool(driver.allocate)
    first, other = pool.take(1000), pool.take(2000)
    pool.give(first)
    assert pool.take(1000) is first
    pool.give(first)
    pool.give(other)
    pool.close()
    assert driver.free_bytes() == 1 << 40


def test_a_courier_brings_all_in_order_and_goes_on_after_what_fails() -> None:
    driver = HostDriver()
    stream, courier = driver.create_stream(), Courier(driver, "a courier")
    results: list[Future[str]] = [Future() for _ in range(4)]
    log: list[str] = []

    def unpack(number: int) -> list[str]:
        log.append(f"unpack {number}")
        return [f"first of {number}", f"second of {number}"][: 1 if number == 1 else 2]

    def fail() -> list[str]:
        raise ValueError("broken")

    stream.put(lambda: log.append("copied"))  # type: ignore[attr-defined]
    for number, part in enumerate((results[:2], results[2:3])):
        release = partial(log.append, f"release {number}")
        courier.send(Delivery(stream.record(), part, partial(unpack, number), release))
    courier.send(Delivery(stream.record(), results[3:], fail, partial(log.append, "release 2")))
    courier.close()
    assert [result.result(0) for result in results[:3]] == [
        "first of 0", "second of 0", "first of 1",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="broken"):
        results[3].result(0)
    assert log == ["copied", "unpack 0", "release 0", "unpack 1", "release 1", "release 2"]


def test_all_buffers_or_none() -> None:
    driver = HostDriver(1000)
    with pytest.raises(DeviceMemoryError):
        allocate_all(driver, [400, 400, 400])
    assert driver.free_bytes() == 1000
    assert [buffer.size_bytes for buffer in allocate_all(driver, [400, 600])] == [400, 600]


def test_work_waits_for_an_event_and_for_nothing_else() -> None:
    """The simulated GPU itself: a stream is at work only when somebody waits for it."""
    driver, done = HostDriver(), list[str]()
    first, second = driver.create_stream(), driver.create_stream()
    first.put(lambda: done.append("first"))  # type: ignore[attr-defined]
    event = first.record()
    first.put(lambda: done.append("later"))  # type: ignore[attr-defined]
    second.wait(event)
    second.put(lambda: done.append("second"))  # type: ignore[attr-defined]
    assert done == []
    second.sync()
    assert done == ["first", "second"]
