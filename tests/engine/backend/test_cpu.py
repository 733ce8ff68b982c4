"""The CPU device: bitwise the kernels, whatever shares the lane, drawn ahead or not."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sakuga.engine.backend.base import MAX_HISTORIES, ROWS_PER_SLOT, Start, Step
from sakuga.engine.backend.cpu import CpuDevice, CpuLane
from sakuga.kernels.denoise_step import SCRATCH, Coefficients, denoise_step
from sakuga.kernels.init_noise import init_noise
from sakuga.kernels.philox import normals
from sakuga.kernels.to_rgb8 import to_rgb8

SIZE = (6, 5)
SHAPE = (4, *SIZE)
COUNT = 4 * 6 * 5

# First order with noise, two histories without, and the last step of all.
COEFFICIENTS = (
    Coefficients(0.9, -0.4, 0.3, (), 0.0, 0.0, 0, 0.7),
    Coefficients(1.1, -0.2, 0.0, (0.5, -0.25), 1.0, -0.75, 1, 0.6),
    Coefficients(1.0, -0.1, 0.0, (), 0.0, 0.0, 0, 1.0),
)


@pytest.fixture
def device() -> Iterator[CpuDevice]:
    device = CpuDevice()
    yield device
    device.close()


def random(seed: int, *shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def rows_of(slot: int, count: int = 2) -> tuple[int, ...]:
    return tuple(ROWS_PER_SLOT * slot + index for index in range(count))


def start_of(slot: int, seed: int) -> Start:
    return Start(slot, rows_of(slot), seed, scale=14.6, c_in=0.068)


def step_of(slot: int, number: int, seed: int, weights: tuple[float, ...] = (7.0, -6.0)) -> Step:
    draw = number + 1 if COEFFICIENTS[number].c else 0
    return Step(slot, rows_of(slot, len(weights)), weights, COEFFICIENTS[number], seed, draw)


def advance(lane: CpuLane, slot: int, number: int, seed: int, ahead: bool) -> None:
    step = step_of(slot, number, seed)
    if ahead:
        lane.draw_ahead([step])
    outputs = random(100 * number + slot, 2, *SHAPE)
    lane.set_outputs(step.rows, outputs)
    lane.step([step])


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_step_is_bitwise_the_kernel_s(device: CpuDevice, dtype: type[np.floating[Any]]) -> None:
    lane = device.lane(SIZE, 1, np.dtype(dtype))
    latent, histories = np.zeros(SHAPE, np.float32), np.zeros((MAX_HISTORIES, *SHAPE), np.float32)
    inputs, scratch = np.zeros((2, *SHAPE), dtype), np.empty((SCRATCH, *SHAPE), np.float32)
    lane.start([start_of(0, seed=5)])
    init_noise(normals(5, 0, COUNT).reshape(SHAPE), 14.6, 0.068, latent, list(inputs))
    for number, coefficients in enumerate(COEFFICIENTS):
        assert np.array_equal(lane.model_inputs((0, 1)), inputs)
        assert np.array_equal(lane.latent(0), latent)
        outputs = random(100 * number, 2, *SHAPE)
        advance(lane, 0, number, seed=5, ahead=True)
        denoise_step(
            latent,
            histories[: len(coefficients.d)],
            list(outputs.astype(dtype)),
            (7.0, -6.0),
            coefficients,
            normals(5, number + 1, COUNT).reshape(SHAPE),
            list(inputs),
            scratch,
        )
    assert np.array_equal(lane.latent(0), latent)
    assert lane.model_inputs((0, 1)).dtype == dtype


def test_noise_drawn_ahead_is_the_same_noise(device: CpuDevice) -> None:
    latents = []
    for ahead in (True, False):
        lane = device.lane(SIZE, 1, np.dtype(np.float32))
        lane.start([start_of(0, seed=9)])
        advance(lane, 0, 0, seed=9, ahead=ahead)
        latents.append(lane.latent(0))
    assert np.array_equal(*latents)


def test_noise_drawn_for_one_step_is_not_used_for_another(device: CpuDevice) -> None:
    """A hint about a step that is then not taken changes nothing."""
    lane, plain = (device.lane(SIZE, 1, np.dtype(np.float32)) for _ in range(2))
    for one in (lane, plain):
        one.start([start_of(0, seed=9)])
    lane.draw_ahead([step_of(0, 0, seed=1)])
    advance(lane, 0, 0, seed=9, ahead=False)
    advance(plain, 0, 0, seed=9, ahead=False)
    assert np.array_equal(lane.latent(0), plain.latent(0))


def test_slots_of_a_lane_do_not_touch_each_other(device: CpuDevice) -> None:
    shared = device.lane(SIZE, 3, np.dtype(np.float32))
    assert shared.slots == 3
    seeds = {0: 5, 1: 5, 2: 8}
    shared.start([start_of(slot, seed) for slot, seed in seeds.items()])
    for number in range(len(COEFFICIENTS)):
        steps = [step_of(slot, number, seed) for slot, seed in seeds.items()]
        shared.draw_ahead(steps)
        for slot in seeds:
            shared.set_outputs(rows_of(slot), random(100 * number + slot, 2, *SHAPE))
        shared.step(steps)
    for slot, seed in seeds.items():
        alone = device.lane(SIZE, slot + 1, np.dtype(np.float32))
        alone.start([start_of(slot, seed)])
        for number in range(len(COEFFICIENTS)):
            advance(alone, slot, number, seed, ahead=False)
        assert np.array_equal(shared.latent(slot), alone.latent(slot))


def test_rows_need_not_lie_together(device: CpuDevice) -> None:
    lane = device.lane(SIZE, 3, np.dtype(np.float32))
    lane.start([start_of(slot, seed=slot) for slot in range(3)])
    inputs = lane.model_inputs((0, 1, 2, 3, 4, 5)).copy()
    assert np.array_equal(lane.model_inputs((0, 2, 5)), inputs[[0, 2, 5]])
    assert np.array_equal(lane.model_inputs((2, 3)), inputs[2:4])
    assert np.array_equal(lane.model_inputs((3, 2)), inputs[[3, 2]])
    outputs = random(1, 3, *SHAPE)
    lane.set_outputs((0, 3, 5), outputs)
    for slot, row in enumerate((0, 3, 5)):
        weights = (1.0, 0.0) if row % 2 == 0 else (0.0, 1.0)
        before = lane.latent(slot)
        lane.step([step_of(slot, 2, seed=slot, weights=weights)])
        expected = before + np.float32(-0.1) * outputs[slot]
        assert np.allclose(lane.latent(slot), expected, atol=1e-6)


def test_a_slot_begins_anew(device: CpuDevice) -> None:
    """The picture before leaves no trace: latent, histories and outputs."""
    used, fresh = (device.lane(SIZE, 1, np.dtype(np.float32)) for _ in range(2))
    used.start([start_of(0, seed=1)])
    for number in range(len(COEFFICIENTS)):
        advance(used, 0, number, seed=1, ahead=True)
    for lane in (used, fresh):
        lane.start([start_of(0, seed=2)])
        advance(lane, 0, 0, seed=2, ahead=True)
    assert np.array_equal(used.latent(0), fresh.latent(0))


def test_a_latent_is_a_copy(device: CpuDevice) -> None:
    lane = device.lane(SIZE, 1, np.dtype(np.float32))
    lane.start([start_of(0, seed=1)])
    lane.latent(0)[...] = 0
    assert np.array_equal(lane.latent(0), normals(1, 0, COUNT).reshape(SHAPE) * np.float32(14.6))


@pytest.mark.parametrize("rounding", ["truncate", "round"])
def test_bytes_are_the_kernel_s(device: CpuDevice, rounding: Any) -> None:  # noqa: ANN401
    image = random(0, 2, 3, 16, 8)
    assert np.array_equal(device.to_rgb8(image, rounding), to_rgb8(image, rounding))
    assert device.name == "cpu"
