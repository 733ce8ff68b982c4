"""A picture as a load asks for it: when, and what decides how long it takes."""

from dataclasses import dataclass
from functools import cached_property

from sakuga.profiles.buckets import Size

SQUARE = 1024 * 1024  # pixels of the picture that costs are given for


@dataclass(frozen=True)
class Arrival:
    """`at_s`: seconds from the start of the load. `priority`: the higher goes first."""

    at_s: float
    size: Size
    steps: int
    guidance: float
    priority: int = 0

    @property
    def rows(self) -> int:
        """Rows of a network call: two with guidance, one without."""
        return 1 if self.guidance == 1 else 2

    @cached_property
    def area(self) -> float:
        """In pictures of 1024x1024."""
        return self.size.width * self.size.height / SQUARE
