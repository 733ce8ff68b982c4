"""The CPU device: bitwise the kernels, whatever shares the lane, drawn ahead or not."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sakuga.engine.backend.base import GROUP, Block, Start
from sakuga.engine.backend.cpu import CpuDevice, CpuLane
from sakuga.engine.backend.network import Networks
from sakuga.engine.bundle import Bundle
from sakuga.kernels.denoise_step import SCRATCH, denoise_step
from sakuga.kernels.init_noise import init_noise
from sakuga.kernels.launch import GIVEN, HISTORIES, STEP_ROW, Records, Seat, coefficients_of
from sakuga.kernels.model_inputs import model_inputs
from sakuga.kernels.philox import normals

LATENT = (16, 20)
SHAPE = (4, *LATENT)
COUNT = 4 * 16 * 20
Arrays = dict[str, NDArray[Any]]


class Tenth:
    """A UNet that answers a tenth of its sample plus the first number it is told."""

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        sample, told = inputs["sample"], inputs["encoder_hidden_states"][:, 0, 0]
        return {"noise_pred": sample * sample.dtype.type(0.1) + told[:, None, None, None]}


class Sessions:
    def __call__(self, name: str) -> Tenth:
        return Tenth()

    def close(self) -> None:
        pass


@pytest.fixture(params=["sdxl_bundle", "sdxl_fp16_bundle"])
def device(request: pytest.FixtureRequest) -> Iterator[CpuDevice]:
    bundle: Bundle = request.getfixturevalue(request.param)
    device = CpuDevice(Networks.of(bundle), Sessions(), slots=3)
    yield device
    device.close()


def table_of(*weights: float, given: bool = False) -> Records:
    """A start, a step with noise, one that reads and writes histories, and a last one."""
    table = np.zeros(4, STEP_ROW)
    table["weights"][:, : len(weights)] = weights
    table["c_in"], table["timestep"] = (0.068, 0.7, 0.6, 1.0), (999, 600.5, 300, 0)
    table["a"], table["b"] = (14.6, 0.9, 1.1, 1.0), (0, -0.4, -0.2, -0.1)
    table["c"][1], table["draw"][1] = 0.3, GIVEN if given else 5
    table["d"][2], table["e"][2], table["f"][2] = (0.5, 0, -0.25), 1.0, -0.75
    table["write"][2] = 2
    return table


def advance(lane: CpuLane, seats: list[Seat], step: int, expected: bool = True) -> None:
    if expected:
        lane.expect(seats, [step] * len(seats))
    rows = sorted(row for seat in seats for row in seat.rows)
    for chunks in {1 + row // GROUP for row in rows}:
        count = sum(1 + row // GROUP == chunks for row in rows)
        lane.evaluate(Block(chunks, GROUP * (chunks - 1), count))
    lane.step(seats, [step] * len(seats))


def begin(lane: CpuLane, seats: list[Seat], seeds: dict[int, tuple[int, int]]) -> None:
    lane.start([Start(s.slot, table_of(7.0, -6.0), seeds[s.slot]) for s in seats])
    for seat in seats:
        for row in seat.rows:
            told = np.full((77 * (1 + row // GROUP), 1), 0.25 * (row % 2 + seat.slot), np.float32)
            lane.condition(1 + row // GROUP, row, {"encoder_hidden_states": told})
    lane.seat(seats, [0] * len(seats))


def test_steps_are_bitwise_the_kernels(device: CpuDevice) -> None:
    lane, seat, table = device.lane(LATENT), Seat(1, (0, 1)), table_of(7.0, -6.0)
    dtype = lane._group(1)["sample"].dtype
    latent, histories = np.zeros(SHAPE, np.float32), np.zeros((HISTORIES, *SHAPE), np.float32)
    inputs, scratch = np.zeros((2, *SHAPE), dtype), np.empty((SCRATCH, *SHAPE), np.float32)
    begin(lane, [seat], {1: (5, 6)})
    init_noise(normals(5, 0, COUNT).reshape(SHAPE), 14.6, latent)
    model_inputs(latent, float(table["c_in"][0]), inputs)
    for step in range(3):
        outputs = Tenth().run(
            {"sample": inputs, "encoder_hidden_states": np.array([[[0.25]], [[0.5]]], dtype)}
        )["noise_pred"]
        advance(lane, [seat], step)
        noise = normals(6, 5, COUNT).reshape(SHAPE) if step == 0 else None
        denoise_step(
            latent, histories, list(outputs), (7.0, -6.0), coefficients_of(table[step + 1]), noise,
            list(inputs), scratch,
        )  # fmt: skip
        assert np.array_equal(lane.latent(1), latent)
        assert np.array_equal(lane._group(1)["sample"][:2], inputs)
        assert lane._group(1)["timestep"][:2].tolist() == [table["timestep"][step + 1]] * 2


def test_noise_drawn_ahead_is_the_same_noise(device: CpuDevice) -> None:
    latents = []
    for expected in (True, False):
        lane, seat = device.lane(LATENT), Seat(0, (0, 1))
        begin(lane, [seat], {0: (9, 9)})
        if expected:
            begin(lane, [Seat(1, (2, 3))], {1: (8, 8)})
            lane.expect([Seat(1, (2, 3))], [0])  # a hint of a step that is not taken
        advance(lane, [seat], 0, expected)
        latents.append(lane.latent(0))
    assert np.array_equal(*latents)


def test_noise_may_be_given(device: CpuDevice) -> None:
    """For the first latent and for a step: what the kernel would have drawn changes nothing."""
    first, later = (normals(seed, 0, COUNT).reshape(SHAPE) for seed in (70, 71))
    lane, seat, table = device.lane(LATENT), Seat(0, (0, 1)), table_of(7.0, -6.0, given=True)
    table["draw"][0] = GIVEN
    lane.start([Start(0, table, (1, 2), first)])
    assert np.array_equal(lane.latent(0), first * np.float32(14.6))
    lane.condition(1, 0, {"encoder_hidden_states": np.zeros((77, 1), np.float32)})
    lane.condition(1, 1, {"encoder_hidden_states": np.zeros((77, 1), np.float32)})
    lane.seat([seat], [0])
    before = lane.latent(0)
    outputs = lane._group(1)["sample"][0] * lane._group(1)["sample"].dtype.type(0.1)
    lane.give(0, later)
    advance(lane, [seat], 0)
    expected = 0.9 * before - 0.4 * outputs.astype(np.float32) + 0.3 * later
    assert np.abs(lane.latent(0) - expected).max() < 1e-2


@pytest.mark.parametrize("rows", [(0, 1), (3, 2), (GROUP, 0), (GROUP + 1, 2 * GROUP)])
def test_a_picture_does_not_care_where_it_sits(device: CpuDevice, rows: tuple[int, int]) -> None:
    alone = device.lane(LATENT)
    seats = [Seat(0, (0, 1))]
    seeds = {0: (1, 1), 1: (2, 2), 2: (3, 3)}
    begin(alone, seats, seeds)
    for step in range(3):
        advance(alone, seats, step)
    wanted = alone.latent(0)
    device.leave(LATENT, 0)
    shared = device.lane(LATENT)
    others = [
        Seat(1, tuple(r for r in (0, GROUP) if r not in rows)),
        Seat(2, tuple(r for r in (1, 2, 3, 2 * GROUP, GROUP + 1) if r not in rows)),
    ]
    seats = [Seat(0, rows), *others]
    begin(shared, seats, seeds)
    told = {0: 0.0, 1: 0.25}
    for nth, row in enumerate(rows):
        chunks = 1 + row // GROUP
        states = np.full((77 * chunks, 1), told[nth], np.float32)
        shared.condition(chunks, row, {"encoder_hidden_states": states})
    for step in range(3):
        advance(shared, seats, step)
    assert np.array_equal(shared.latent(0), wanted)


def test_a_lane_goes_with_its_last_picture(device: CpuDevice) -> None:
    lane = device.lane(LATENT)
    begin(lane, [Seat(0, (0, 1)), Seat(1, (2, 3))], {0: (1, 1), 1: (2, 2)})
    device.leave(LATENT, 0)
    assert device.lane(LATENT) is lane
    device.leave(LATENT, 1)
    assert device.lane(LATENT) is not lane


def test_a_latent_is_a_copy(device: CpuDevice) -> None:
    lane = device.lane(LATENT)
    begin(lane, [Seat(0, (0, 1))], {0: (1, 1)})
    lane.latent(0)[...] = 0
    assert np.array_equal(lane.latent(0), normals(1, 0, COUNT).reshape(SHAPE) * np.float32(14.6))
    assert device.name.startswith("onnxruntime ") and device.name.endswith(" cpu")
