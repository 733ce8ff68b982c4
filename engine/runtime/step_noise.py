"""Noise that devices do not draw themselves: drawn here while the network runs, then given."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from weakref import WeakKeyDictionary

import numpy as np

from sakuga.engine.backend.base import Lane, Latent
from sakuga.engine.backend.network import latent_shape
from sakuga.engine.runtime.slot import Slot
from sakuga.engine.sampling.noise.torch_cpu import TorchDraws


class StepNoise:
    """The noise of the steps of slots whose source is the processor's.

    A generator's numbers come in order, so every slot has one of its own, for as long as it lives.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "sakuga-step-noise")
        self._draws: WeakKeyDictionary[Slot, TorchDraws] = WeakKeyDictionary()
        self._ahead: dict[Slot, Future[Latent]] = {}

    def expect(self, slots: Sequence[Slot]) -> None:
        """Begin to draw what the next steps of these slots add."""
        self._ahead = {
            slot: self._thread.submit(self._draw, slot) for slot in slots if _adds_given(slot)
        }

    def give(self, lane: Lane) -> None:
        """Hand over what was expected."""
        for slot, noise in self._ahead.items():
            lane.give(slot.place, noise.result())
        self._ahead = {}

    def close(self) -> None:
        """Stop the thread."""
        self._thread.shutdown(cancel_futures=True)

    def _draw(self, slot: Slot) -> Latent:
        plan, shape = slot.settings.noise, latent_shape(slot.latent)
        if slot not in self._draws:
            self._draws[slot] = TorchDraws(plan.later_seed, int(np.prod(shape)))
        number = int(slot.settings.table.draw[slot.step]) - plan.skipped
        return self._draws[slot].draw(number).reshape(shape)


def _adds_given(slot: Slot) -> bool:
    settings = slot.settings
    return settings.noise.rng.later == "CPU" and bool(settings.table.draw[slot.step])
