"""Our kernels with arguments as the engine gives them, and the bytes each must move.

Bytes count every input read once and every output written once. Rows are float16, latents float32;
the VAE's picture is float32, as its mixed form gives it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gpu.memory import Memory
from gpu.site import Site
from gpu.slots import GUIDANCE, settings_of
from sakuga.engine.runtime.step_table import step_table
from sakuga.kernels.launch import (
    FORESIGHT,
    GIVEN,
    STEP_ROW,
    Records,
    Seat,
    colours_record,
    fill_launch,
    new_launch,
)
from sakuga.kernels.launcher import Argument, grid
from sakuga.kernels.preview import COLOURS

STEP, INIT, INPUTS, BYTES, PREVIEW = (
    "denoise_step_half", "init_noise", "model_inputs_half", "to_rgb8_float", "preview_half",
)  # fmt: skip
# Of one element of a guided slot; of one pixel; of one element of a latent's plane.
MOVED = {
    STEP: 4 + 4 + 4 * 2, INIT: 4, INPUTS: 4 + 2 * 2, BYTES: 3 * 4 + 3, PREVIEW: 4 * (4 + 2 * 2) + 3,
}  # fmt: skip
NOISE_READ = 4  # of an element, where the noise is given and not drawn


@dataclass(frozen=True)
class Case:
    """A launch. `moved`: its bytes."""

    kernel: str
    blocks: tuple[int, int]
    arguments: list[Argument]
    moved: int


Make = Callable[[Site, Memory, int, int, bool], Case]  # elements of a slot, slots, noise drawn


def step_case(site: Site, held: Memory, count: int, slots: int, noisy: bool) -> Case:
    """A step of guided pictures: Euler a draws noise, Euler does not."""
    settings = settings_of(site.family, site.slot_size, 28, "euler_a" if noisy else "euler")
    guided = [(GUIDANCE, 1 - GUIDANCE)] * settings.table.evaluations
    table = step_table(settings.table, guided, settings.noise, first_given=False)
    record = _launch(slots, step=len(table) // 2)
    latents, rows = held.normal(slots * count, np.float32), 2 * slots
    arguments: list[Argument] = [
        record, held.holding(np.tile(table, (slots, 1))), np.int32(len(table)), _seeds(held, slots),
        np.uint64(count), np.uint64(count), np.uint64(0), np.uint64(0), latents, np.uint64(0),
        held.normal(rows * count, np.float16), held.normal(rows * count, np.float16),
        held.holding(np.zeros(rows, np.float32)),
    ]  # fmt: skip
    return Case(STEP, grid(count, slots), arguments, MOVED[STEP] * count * slots)


def init_case(site: Site, held: Memory, count: int, slots: int, noisy: bool) -> Case:
    """First latents. Without noise of its own the kernel reads it from a buffer."""
    row = np.zeros((slots, 1), STEP_ROW)
    row["a"], row["draw"] = 14.6, 0 if noisy else GIVEN
    noises = np.uint64(0) if noisy else held.normal(slots * count, np.float32)
    arguments: list[Argument] = [
        _launch(slots), held.holding(row), np.int32(1), _seeds(held, slots), np.uint64(count),
        noises, np.uint64(0), held.normal(slots * count, np.float32),
    ]  # fmt: skip
    moved = MOVED[INIT] if noisy else MOVED[INIT] + NOISE_READ
    return Case(INIT, grid(count, slots), arguments, moved * count * slots)


def inputs_case(site: Site, held: Memory, count: int, slots: int, noisy: bool) -> Case:
    """Next model inputs of two rows each. It draws no noise."""
    row = np.zeros((slots, 1), STEP_ROW)
    row["c_in"], row["timestep"] = 0.07, 999
    arguments: list[Argument] = [
        _launch(slots), held.holding(row), np.int32(1), np.uint64(count),
        np.uint64(count), np.uint64(0), held.normal(slots * count, np.float32),
        held.normal(2 * slots * count, np.float16),
        held.holding(np.zeros(2 * slots, np.float32)),
    ]  # fmt: skip
    return Case(INPUTS, grid(count, slots), arguments, MOVED[INPUTS] * count * slots)


def bytes_case(site: Site, held: Memory, count: int, slots: int, noisy: bool) -> Case:
    """Pictures to bytes: 16 pixels for each element of a latent."""
    area = 16 * count
    arguments: list[Argument] = [
        held.normal(3 * slots * area, np.float32),
        held.holding(np.zeros(3 * slots * area, np.uint8)),
        held.holding(np.zeros(slots, np.uint32)), np.uint64(area), np.int32(0),
    ]  # fmt: skip
    return Case(BYTES, grid(area, slots), arguments, MOVED[BYTES] * area * slots)


def preview_case(site: Site, held: Memory, count: int, slots: int, noisy: bool) -> Case:
    """Small pictures of guided slots; one thread for each pixel. It draws no noise."""
    row = np.zeros((slots, 1), STEP_ROW)
    row["weights"][..., :2] = GUIDANCE, 1 - GUIDANCE
    arguments: list[Argument] = [
        _launch(slots), held.holding(row), np.int32(1), np.array((1.1, -0.5), FORESIGHT),
        colours_record(COLOURS[site.family.kind]), np.uint64(count // 4),
        held.normal(slots * count, np.float32), held.normal(2 * slots * count, np.float16),
        held.holding(np.zeros(3 * slots * count // 4, np.uint8)),
    ]  # fmt: skip
    return Case(PREVIEW, grid(2 * count, slots), arguments, MOVED[PREVIEW] * (count // 4) * slots)


CASES: dict[str, Make] = {
    STEP: step_case,
    INIT: init_case,
    INPUTS: inputs_case,
    BYTES: bytes_case,
    PREVIEW: preview_case,
}


def _launch(slots: int, step: int = 0) -> Records:
    record = new_launch()
    fill_launch(record, [Seat(slot, (2 * slot, 2 * slot + 1)) for slot in range(slots)])
    record["entries"]["step"][:slots] = step
    return record


def _seeds(held: Memory, slots: int) -> np.uint64:
    return held.holding(np.arange(2 * slots, dtype=np.uint64))
