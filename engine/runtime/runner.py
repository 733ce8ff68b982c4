"""Runs a batch: the network calls, then one launch that advances every slot."""

import numpy as np

from sakuga.engine.backend.base import ROWS_PER_SLOT, Array, Device, Lane, Session, Start, Step
from sakuga.engine.manifest import NetworkEntry
from sakuga.engine.runtime.batcher import Batch, Call
from sakuga.engine.runtime.slot import RowSource, Slot
from sakuga.engine.text.conditioning import time_ids

KEPT_CALLS = 4  # row sets whose conditioning is kept: two calls of a slot, and their successors


class Runner:
    """Owns the UNet session and the lanes of one device."""

    def __init__(self, device: Device, unet: Session, entry: NetworkEntry, slots: int) -> None:
        self._device = device
        self._unet = unet
        self._dtypes = {tensor.name: np.dtype(tensor.dtype) for tensor in entry.inputs}
        self._slots = slots
        self._lanes: dict[tuple[int, int], Lane] = {}
        self._kept: dict[tuple[RowSource, ...], dict[str, Array]] = {}

    def run(self, batch: Batch) -> None:
        """Advance every slot of the batch by one evaluation."""
        lane = self._lane(batch.latent)
        if batch.started:
            lane.start([_start(slot) for slot in batch.started])
        steps = [_step(slot) for slot in batch.slots]
        lane.draw_ahead(steps)
        for call in batch.calls:
            outputs = self._unet.run(self._inputs(lane, call))
            lane.set_outputs(call.rows, outputs["noise_pred"])
        lane.step(steps)

    def latent(self, slot: Slot) -> Array:
        """A slot's latent on the host, float32 [4, height, width]."""
        return self._lane(slot.latent).latent(slot.place)

    def _lane(self, latent: tuple[int, int]) -> Lane:
        if latent not in self._lanes:
            self._lanes[latent] = self._device.lane(latent, self._slots, self._dtypes["sample"])
        return self._lanes[latent]

    def _inputs(self, lane: Lane, call: Call) -> dict[str, Array]:
        changing = {"sample": lane.model_inputs(call.rows), "timestep": np.array(call.timesteps)}
        return self._typed(changing) | self._conditioning(call)

    def _conditioning(self, call: Call) -> dict[str, Array]:
        """What stays the same from step to step, kept while calls have the same rows."""
        if call.sources not in self._kept:
            while len(self._kept) >= KEPT_CALLS:
                self._kept.pop(next(iter(self._kept)))
            conditionings = [source.conditioning for source in call.sources]
            inputs = {"encoder_hidden_states": np.stack([c.states for c in conditionings])}
            if "time_ids" in self._dtypes:
                inputs["text_embeds"] = np.stack([_pooled(c.pooled) for c in conditionings])
                inputs["time_ids"] = np.stack([time_ids(s.settings.size) for s in call.slots])
            self._kept[call.sources] = self._typed(inputs)
        return self._kept[call.sources]

    def _typed(self, inputs: dict[str, Array]) -> dict[str, Array]:
        return {
            name: array.astype(self._dtypes[name], copy=False) for name, array in inputs.items()
        }


def _pooled(pooled: Array | None) -> Array:
    assert pooled is not None  # a UNet with time ids has an encoder with a pooled output
    return pooled


def _rows(slot: Slot) -> tuple[int, ...]:
    first = ROWS_PER_SLOT * slot.place
    return tuple(range(first, first + len(slot.sources)))


def _start(slot: Slot) -> Start:
    table = slot.settings.table
    scale, c_in = table.init_scale, float(table.c_in[0])
    return Start(slot.place, _rows(slot), slot.settings.seed, scale, c_in)


def _step(slot: Slot) -> Step:
    table = slot.settings.table
    return Step(
        slot=slot.place,
        rows=_rows(slot),
        weights=tuple(source.weight for source in slot.sources),
        coefficients=table.coefficients(slot.step),
        seed=slot.settings.seed,
        draw=int(table.draw[slot.step]),
    )
