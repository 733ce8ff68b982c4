"""Runs a batch: the network calls, then one launch that advances every slot."""

from collections.abc import Mapping
from concurrent.futures import Future

import numpy as np

from sakuga.engine.backend.base import Array, Device, Lane, Pixels, Start
from sakuga.engine.runtime.batcher import Batch
from sakuga.engine.runtime.seats import Arrangement, Seats
from sakuga.engine.runtime.settings import Settings
from sakuga.engine.runtime.slot import Beginning, RowSource, Slot
from sakuga.engine.runtime.step_noise import StepNoise
from sakuga.engine.runtime.step_table import step_table
from sakuga.engine.sampling.foresight import foresight
from sakuga.engine.sampling.masking import Holds, holds
from sakuga.engine.text.conditioning import time_ids
from sakuga.kernels.guide import Guide
from sakuga.kernels.launch import Seat

Previews = Mapping[Slot, "Future[Pixels]"]


class Runner:
    """The steps of one device."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._seats: dict[tuple[int, int], Seats] = {}
        self._noise = StepNoise()

    def run(self, batch: Batch) -> Previews:
        """Advance every slot of the batch by one evaluation; or none, where anything fails.

        Gives previews of the slots that show one.
        """
        try:
            return self._run(batch)
        except Exception:
            self._seats.pop(batch.latent, None)  # whatever was prepared is prepared again
            raise

    def close(self) -> None:
        """Stop drawing noise."""
        self._noise.close()

    def _run(self, batch: Batch) -> Previews:
        lane = self._device.lane(batch.latent)
        if batch.latent not in self._seats:
            self._seats[batch.latent] = Seats()
        seated = self._seats[batch.latent].arrange(batch.slots)
        steps = [slot.step for slot in batch.slots]
        if seated.told or seated.moved:
            _prepare(lane, seated, batch.slots, steps)
        lane.expect(seated.seats, steps)
        self._noise.expect(batch.slots)
        for block in seated.blocks:
            lane.evaluate(block)
        previews = {
            slot: _foresee(lane, slot, seat)
            for slot, seat in zip(batch.slots, seated.seats, strict=True)
            if slot.shows
        }
        self._noise.give(lane)
        lane.step(seated.seats, steps)
        return previews


def _foresee(lane: Lane, slot: Slot, seat: Seat) -> "Future[Pixels]":
    settings = slot.settings
    return lane.foresee(seat, slot.step, *foresight(settings.table, settings.prediction, slot.step))


def _prepare(lane: Lane, seated: Arrangement, slots: tuple[Slot, ...], steps: list[int]) -> None:
    """Whatever is new in this tick: pictures, rows, what rows are told."""
    new = [_start(slot) for slot in slots if slot.step == 0]
    if new:
        lane.start(new)
    for row, source, slot in seated.told:
        lane.condition(source.chunks, row, _told(source, slot))
    if seated.moved:
        lane.seat([seated.seats[at] for at in seated.moved], [steps[at] for at in seated.moved])


def _start(slot: Slot) -> Start:
    settings, noise, beginning = slot.settings, slot.settings.noise, slot.beginning
    first, guide, held = noise.first(slot.latent), None, None
    if beginning is not None and beginning.picture is not None:
        held = _holds(settings, beginning)
        if held is not None and (held.kept[:, 1].any() or held.shown[:, 1].any()):
            first = noise.drawn(slot.latent)  # it is seen again at every level
        mask = beginning.picture if beginning.mask is None else beginning.mask
        guide = Guide(beginning.picture, first, mask)
    weights = [[source.weight for source in sources] for sources in slot.rows]
    table = step_table(settings.table, weights, noise, first is not None, held)
    return Start(slot.place, table, (noise.seed, noise.later_seed), first, guide)


def _holds(settings: Settings, beginning: Beginning) -> Holds | None:
    if beginning.mask is None:
        return None
    return holds(settings.table, settings.prediction, settings.mask_rule)


def _told(source: RowSource, slot: Slot) -> Mapping[str, Array]:
    conditioning = source.conditioning
    inputs = {"encoder_hidden_states": conditioning.states}
    if conditioning.pooled is not None:
        inputs["text_embeds"] = conditioning.pooled
        inputs["time_ids"] = np.asarray(time_ids(slot.settings.size))
    if slot.beginning is not None and slot.beginning.told is not None:
        inputs["sample"] = slot.beginning.told
    return inputs
