"""A picture on its way: where it stands, and which rows of which calls it contributes."""

from dataclasses import dataclass

from sakuga.engine.runtime.request import Settings
from sakuga.engine.text.conditioning import Conditioning
from sakuga.profiles.families import CHUNK


@dataclass(frozen=True, eq=False)
class RowSource:
    """What makes one row: its conditioning, and its weight in ê = Σ weight · output."""

    conditioning: Conditioning
    weight: float

    @property
    def chunks(self) -> int:
        """Length of the conditioning in chunks of 77 tokens; rows of one call agree on it."""
        return len(self.conditioning.states) // CHUNK


@dataclass(eq=False)
class Slot:
    """A picture being denoised. `place` is its slot in the lane, set by the batcher.

    `step` counts the evaluations done.
    """

    ticket: int
    settings: Settings
    sources: tuple[RowSource, ...]
    place: int = -1
    step: int = 0

    @property
    def latent(self) -> tuple[int, int]:
        """(height, width) of the latent; slots of one call agree on it."""
        return self.settings.size.latent()

    @property
    def finished(self) -> bool:
        """Whether every evaluation is done."""
        return self.step == self.settings.table.evaluations


def row_sources(
    settings: Settings, positive: Conditioning, negative: Conditioning | None
) -> tuple[RowSource, ...]:
    """Classifier-free guidance as weights: g for the prompt, 1 − g for the negative prompt.

    Source: Ho and Salimans 2022, in the form ê = e⁻ + g·(e⁺ − e⁻).
    """
    if negative is None:
        return (RowSource(positive, 1.0),)
    guidance = settings.guidance
    return (RowSource(positive, guidance), RowSource(negative, 1 - guidance))
