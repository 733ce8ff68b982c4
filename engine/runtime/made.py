"""A picture between two passes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sakuga.engine.backend.base import Pixels


@dataclass(frozen=True, eq=False)
class Made:
    """Pixels uint8 [h, w, 3]. `notes`: what their maker should know; `facts`: what settings tell
    of how they were made, by key."""

    pixels: Pixels
    notes: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict[str, str])

    def then(self, after: "Made") -> "Made":
        """What was made of it, with all that is to be said of both."""
        return Made(after.pixels, self.notes + after.notes, {**self.facts, **after.facts})

    def noted(self, *notes: str) -> "Made":
        """The same with more to be said of it."""
        return replace(self, notes=(*self.notes, *notes))
