"""The simulation of bench/policies.py against what is known without it."""

from collections import Counter
from dataclasses import replace
from math import inf
from pathlib import Path
from statistics import fmean, stdev
from time import monotonic

import pytest
from policies import EXAMPLE
from serving.arrival import Arrival
from serving.clock import Turn, simulate
from serving.contenders import FIXED, ONE_BY_ONE, Contender, Load, contenders, tried
from serving.cost import Cost
from serving.load import ALIKE, ALL_MIXED, pictures, poisson
from serving.recorded import Recorder, read_load, write_load
from serving.servers import FixedBatches, OneByOne, StepServer

from sakuga.engine.backend.cpu import CpuDevice
from sakuga.engine.backend.network import Networks
from sakuga.engine.backend.onnx_networks import OnnxNetworks
from sakuga.engine.bundle import Bundle
from sakuga.engine.engine import Engine
from sakuga.engine.runtime.policy import InOrder
from sakuga.engine.runtime.request import Request
from sakuga.profiles.buckets import Size

COST = Cost()
WINDOW_S = 0.05
SQUARE = Size(1024, 1024)
ALL = list(contenders((2, 8)))


@pytest.mark.parametrize("contender", ALL, ids=lambda each: f"{each.name} {each.rows}")
def test_nothing_is_lost_and_nothing_made_up(contender: Contender) -> None:
    load = poisson(ALL_MIXED, 1.6, 120, seed=1)
    run = simulate(contender.server(COST, WINDOW_S), load)
    assert [each.arrival for each in run.served] == load
    assert run.rows == sum(each.steps * each.rows for each in load)
    work = sum(each.area * (each.steps * each.rows * COST.row + COST.decode) for each in load)
    assert run.busy_s == pytest.approx(run.steps * COST.fixed + work)
    assert max(each.done_s for each in run.served) >= run.busy_s
    for each in run.served:
        assert each.begun_s >= each.arrival.at_s
        assert each.done_s - each.begun_s >= COST.picture(each.arrival) - 1e-9


@pytest.mark.parametrize("contender", ALL, ids=lambda each: f"{each.name} {each.rows}")
def test_nobody_is_idle_while_pictures_wait(contender: Contender) -> None:
    load = [replace(each, at_s=0.0) for each in pictures(ALL_MIXED, 60, seed=2)]
    run = simulate(contender.server(COST, 0.0), load)
    assert max(each.done_s for each in run.served) == pytest.approx(run.busy_s)


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_one_at_a_time_is_a_queue_of_fixed_service(share: float) -> None:
    """M/D/1: the mean wait is ρ·D / 2(1 − ρ) (Pollaczek and Khinchine)."""
    service = COST.picture(Arrival(0, SQUARE, 28, 7.0))
    waits = [
        fmean(each.waited_s for each in simulate(OneByOne(COST), load).served)
        for load in (poisson(ALIKE, share / service, 3000, seed) for seed in range(12))
    ]
    error = stdev(waits) / len(waits) ** 0.5
    assert error < 0.03 * service
    assert fmean(waits) == pytest.approx(share * service / (2 * (1 - share)), abs=4 * error)


def test_the_batcher_with_room_for_one_picture_is_that_queue() -> None:
    load = poisson(ALIKE, 1.3, 200, seed=3)
    one, batcher = (
        simulate(server, load) for server in (OneByOne(COST), StepServer(COST, 2, InOrder()))
    )
    ends = [[each.done_s for each in run.served] for run in (one, batcher)]
    assert ends[0] == pytest.approx(ends[1]) and one.rows == batcher.rows


def test_the_batcher_joins_them_step_by_step() -> None:
    """Two guided pictures of two steps, the second there when the first is a step ahead."""
    load = [Arrival(0.0, SQUARE, 2, 7.0), Arrival(0.001, SQUARE, 2, 7.0)]
    first, second = simulate(StepServer(COST, 4, InOrder()), load).served
    assert second.begun_s == pytest.approx(0.024)
    assert first.done_s == pytest.approx(0.024 + 0.042 + 0.025)
    assert second.done_s == pytest.approx(first.done_s + 0.024 + 0.025)


def test_fixed_batches_wait_for_company_and_let_nobody_join() -> None:
    server = FixedBatches(COST, rows=4, window_s=1.0)
    server.add(0, Arrival(0.0, SQUARE, 8, 7.0))
    assert server.turn(0.0) == 1.0
    server.add(1, Arrival(0.5, SQUARE, 9, 7.0))  # no company: it has other steps
    assert server.turn(0.5) == 1.0
    for number in (2, 3):
        server.add(number, Arrival(0.5, SQUARE, 8, 7.0))
    full = server.turn(0.5)
    assert isinstance(full, Turn) and full.begun == (0, 2)
    assert full.seconds == pytest.approx(8 * COST.step(4, 1.0) + 2 * COST.decode)
    assert server.turn(0.6) == 1.5
    late = server.turn(1.5)
    assert isinstance(late, Turn) and late.begun == (1,)
    assert isinstance(server.turn(1.5), Turn) and server.turn(9.0) == inf


def test_a_priority_goes_first_with_everyone() -> None:
    load = [Arrival(0.0, SQUARE, 28, 7.0) for _ in range(6)] + [Arrival(0.1, SQUARE, 28, 7.0, 1)]
    for contender in ALL:
        served = simulate(contender.server(COST, 0.0), load).served
        assert sum(each.done_s < served[-1].done_s for each in served) <= 4, contender.name


def test_only_so_many_are_handed_in() -> None:
    class Counting(OneByOne):
        inside = most = 0

        def add(self, number: int, arrival: Arrival) -> None:
            self.inside += 1
            self.most = max(self.most, self.inside)
            super().add(number, arrival)

        def turn(self, now: float) -> Turn | float:
            found = super().turn(now)
            self.inside -= isinstance(found, Turn)
            return found

    load = pictures(ALIKE, 30, seed=0)
    server = Counting(COST)
    assert simulate(server, load, at_once=5).steps == 30 * 28
    assert server.most == 5


def test_a_seed_says_all() -> None:
    def results(seed: int) -> list[object]:
        load = Load("", (tuple(poisson(ALL_MIXED, 1.5, 60, seed)),))
        return [tried(contender, load, COST, WINDOW_S) for contender in ALL]

    assert results(4) == results(4) != results(5)


def test_a_mix_is_what_it_says() -> None:
    load = poisson(ALL_MIXED, 2.0, 20_000, seed=0)
    assert load[-1].at_s == pytest.approx(10_000, rel=0.03)
    steps = Counter(each.steps for each in load)
    assert [steps[each] / 20_000 for each in (8, 28, 50)] == pytest.approx(
        [0.25, 0.5, 0.25], abs=0.02
    )
    assert sum(each.rows == 1 for each in load) / 20_000 == pytest.approx(0.2, abs=0.02)
    assert len({each.size for each in load}) == 9
    # Slower by half, and the same pictures.
    slow = poisson(ALL_MIXED, 1.0, 20_000, seed=0)
    assert slow[7] == replace(load[7], at_s=2 * load[7].at_s)


def test_capacity_is_what_full_calls_make() -> None:
    """Eight guided pictures of 28 steps at once, as the model has it: 28·150 ms and 8·25 ms."""
    load = pictures(ALIKE, 64, seed=0)
    assert COST.capacity(load, 16) == pytest.approx(8 / 4.4)
    found = tried(Contender("in-order", 16), Load("", (tuple(load),)), COST, WINDOW_S)
    assert found.pictures_per_second == pytest.approx(8 / 4.4)
    assert found.rows_per_step == 16
    assert tried(Contender(ONE_BY_ONE, 2), Load("", (tuple(load),)), COST, 0).rows_per_step == 2
    assert tried(Contender(FIXED, 16), Load("", (tuple(load),)), COST, 0).rows_per_step == 16


def test_a_recorded_load_is_read_as_it_was_written(tmp_path: Path) -> None:
    load = [replace(each, at_s=round(each.at_s, 3)) for each in poisson(ALL_MIXED, 1, 50, 0)]
    write_load(tmp_path / "load.jsonl", load)
    assert read_load(tmp_path / "load.jsonl") == load
    assert len({each.size for each in read_load(EXAMPLE)}) > 3


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"at_s": 0, "size": "1024x1024", "steps": 28, "guidance": 7}',
        '{"at_s": 0, "size": "1024", "steps": 28, "guidance": 7, "priority": 0}',
        '{"at_s": -1, "size": "1024x1024", "steps": 28, "guidance": 7, "priority": 0}',
        '{"at_s": 0, "size": "1024x1024", "steps": 0, "guidance": 7, "priority": 0}',
    ],
)
def test_a_line_that_is_no_arrival_is_named(line: str, tmp_path: Path) -> None:
    good = '{"at_s": 0, "size": "1024x1024", "steps": 28, "guidance": 7, "priority": 0}'
    path = tmp_path / "load.jsonl"
    path.write_text(f"{good}\n{line}\n")
    with pytest.raises(ValueError, match="line 2"):
        read_load(path)


def test_an_engine_records_its_load(sdxl_bundle: Bundle) -> None:
    recorder, start = Recorder(InOrder()), monotonic()

    def device() -> CpuDevice:
        return CpuDevice(Networks.of(sdxl_bundle), OnnxNetworks(sdxl_bundle, 1), slots=2)

    with Engine(sdxl_bundle, device, policy=recorder) as engine:
        tickets = [
            engine.submit(Request("", width=128, height=128, steps=2, guidance=guidance, seed=1),
                          priority=priority)
            for guidance, priority in ((7.0, 0), (1.0, 0), (5.0, 3))
        ]  # fmt: skip
        for ticket in tickets:
            ticket.result()
    found = recorder.arrivals
    assert [(each.steps, each.guidance, each.priority) for each in found] == [
        (2, 7.0, 0), (2, 1.0, 0), (2, 5.0, 3)
    ]  # fmt: skip
    assert {each.size for each in found} == {Size(128, 128)}
    times = [each.at_s for each in found]
    assert times == sorted(times) and 0 <= times[0] <= times[-1] <= monotonic() - start
