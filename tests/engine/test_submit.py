"""The engine as others use it: tickets, asyncio, limits, previews, counts."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from time import sleep

import numpy as np
import pytest

from sakuga.engine.backend.cpu import CpuDevice
from sakuga.engine.backend.network import Networks
from sakuga.engine.backend.onnx_networks import OnnxNetworks
from sakuga.engine.bundle import Bundle
from sakuga.engine.engine import Engine
from sakuga.engine.errors import (
    DeadlineError,
    OverloadedError,
    SakugaError,
    SizeError,
    UsageError,
)
from sakuga.engine.runtime.admission import Limits
from sakuga.engine.runtime.request import Request

WAIT_S = 60
SMALL = Request("1girl, green hair", "lowres", width=128, height=160, steps=3, seed=11)
LONG = Request("1girl", width=128, height=128, steps=400, seed=1)


def wait(gate: threading.Event) -> None:
    assert gate.wait(WAIT_S)


@pytest.fixture(scope="module")
def alone(sdxl_engine: Engine) -> bytes:
    return sdxl_engine.render(SMALL).pixels.tobytes()


@pytest.fixture
def engine(sdxl_bundle: Bundle) -> Iterator[Engine]:
    """With two places, so that a picture may join another."""
    networks = Networks.of(sdxl_bundle)
    sessions = OnnxNetworks(sdxl_bundle, threads=1)
    limits = Limits(pictures=3)
    with Engine(sdxl_bundle, lambda: CpuDevice(networks, sessions, 2), limits=limits) as engine:
        yield engine


def test_a_ticket_gives_the_picture(engine: Engine, alone: bytes) -> None:
    told: list[tuple[int, int, int]] = []
    ticket = engine.submit(SMALL, index=7, on_step=lambda *step: told.append(step))
    picture = ticket.result(WAIT_S)
    assert picture.pixels.tobytes() == alone
    assert (ticket.index, ticket.seed, picture.index) == (7, 11, 7)
    assert ticket.done and told == [(7, 1, 3), (7, 2, 3), (7, 3, 3)]
    assert (ticket.progress().done, ticket.progress().total) == (3, 3)
    assert ticket.preview() is None and not ticket.cancel()


def test_pictures_join_one_another_step_by_step(engine: Engine, alone: bytes) -> None:
    begun = threading.Event()
    long = engine.submit(LONG, on_step=lambda *_: begun.set())
    assert begun.wait(WAIT_S)
    same_size = Request("hat", width=128, height=128, steps=2, seed=3, sampler="Euler")
    joined, other = engine.submit(same_size), engine.submit(SMALL, priority=1)
    assert other.result(WAIT_S).pixels.tobytes() == alone
    assert joined.result(WAIT_S).seed == 3
    assert not long.done and long.progress().done < 400
    assert long.cancel()
    with pytest.raises(CancelledError):
        long.result(WAIT_S)
    found = engine.statistics
    assert (found.accepted, found.completed, found.cancelled, found.in_flight) == (3, 2, 1, 0)
    assert found.sizes == {"128x128": 1, "128x160": 1}
    assert 2 < found.rows_per_evaluation <= 4


def test_a_preview_shows_what_becomes_of_the_noise(engine: Engine) -> None:
    seen: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = []

    def look(*_: int) -> None:
        shown = ticket.preview()
        if shown is not None:
            seen.append(shown)

    gate = threading.Event()
    waiting = engine.submit(SMALL, on_step=lambda *_: wait(gate))
    ticket = engine.submit(SMALL, preview_every=1, on_step=look)
    gate.set()
    waiting.result(WAIT_S)
    picture = ticket.result(WAIT_S)
    assert [image.shape for image in seen] == [(20, 16, 3)] * 3
    assert len({image.tobytes() for image in seen}) == 3
    assert picture.pixels.shape == (160, 128, 3)


def test_beyond_its_limits_an_engine_says_when_to_come_again(engine: Engine) -> None:
    running = [engine.submit(LONG) for _ in range(3)]
    with pytest.raises(OverloadedError, match="3 pictures are on their way"):
        engine.submit(SMALL)
    with ThreadPoolExecutor(1) as pool:
        rendered = pool.submit(engine.render, SMALL)  # who waits for it bounds itself
        while engine.statistics.accepted < 4:
            sleep(1e-3)
        assert all(ticket.cancel() for ticket in running)
        assert rendered.result(WAIT_S).seed == 11
    assert engine.submit(SMALL).result(WAIT_S).seed == 11
    found = engine.statistics
    assert found.rejected == 1 and found.in_flight == 0


def test_a_deadline_is_kept_or_the_picture_given_up(engine: Engine) -> None:
    late = engine.submit(LONG, deadline_s=0.2)
    assert engine.submit(SMALL, deadline_s=WAIT_S).result(WAIT_S).seed == 11
    with pytest.raises(DeadlineError, match="is over"):
        late.result(WAIT_S)
    assert engine.statistics.failed == 1


@pytest.mark.parametrize(
    ("wishes", "words"), [({"deadline_s": 0.0}, "0.0 seconds"), ({"preview_every": -1}, "every -1")]
)
def test_wishes_that_mean_nothing_are_refused(
    engine: Engine, wishes: dict[str, float], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        engine.submit(SMALL, **wishes)  # type: ignore[arg-type]
    with pytest.raises(SizeError):
        engine.submit(Request("", width=129, height=128))
    assert engine.statistics.accepted == 0


def test_pictures_can_be_awaited(engine: Engine, alone: bytes) -> None:
    async def together() -> list[bytes]:
        pictures = await asyncio.gather(*(engine.asubmit(SMALL) for _ in range(3)))
        return [picture.pixels.tobytes() for picture in pictures]

    assert asyncio.run(together()) == [alone] * 3


def test_a_cancelled_task_takes_its_picture_off_the_device(engine: Engine) -> None:
    async def give_up() -> None:
        task = asyncio.create_task(engine.asubmit(LONG))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(give_up())
    assert engine.render(SMALL).seed == 11
    assert engine.statistics.cancelled == 1


def test_an_engine_closed_in_the_middle_tells_everybody(engine: Engine) -> None:
    begun = threading.Event()
    tickets = [engine.submit(LONG, on_step=lambda *_: begun.set()) for _ in range(3)]
    assert begun.wait(WAIT_S)
    engine.close()
    for ticket in tickets:
        with pytest.raises(SakugaError, match="closed"):
            ticket.result(WAIT_S)
    with pytest.raises(SakugaError, match="closed"):
        engine.submit(SMALL)
    found = engine.statistics
    assert (found.accepted, found.failed, found.in_flight) == (4, 4, 0)
