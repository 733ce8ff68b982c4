"""The loop of three verbs: next, run, done."""

from collections.abc import Callable

from sakuga.engine.backend.base import Array
from sakuga.engine.runtime.batcher import Batcher
from sakuga.engine.runtime.runner import Runner
from sakuga.engine.runtime.slot import Slot

OnStep = Callable[[Slot], None]


class Loop:
    """Denoises whatever the batcher holds. One thread owns it."""

    def __init__(self, batcher: Batcher, runner: Runner, on_step: OnStep | None = None) -> None:
        self.batcher = batcher
        self._runner = runner
        self._on_step = on_step

    def tick(self) -> list[tuple[Slot, Array]]:
        """One evaluation; returns the slots it finished with their latents [4, height, width]."""
        batch = self.batcher.next()
        self._runner.run(batch)
        finished = self.batcher.done(batch)
        if self._on_step is not None:
            for slot in batch.slots:
                self._on_step(slot)
        return [(slot, self._runner.latent(slot)) for slot in finished]
