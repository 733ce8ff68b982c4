"""How long a GPU takes, as a model: a step is a fixed time and so much for each row."""

from collections.abc import Iterable
from dataclasses import dataclass

from serving.arrival import Arrival


@dataclass(frozen=True)
class Cost:
    """Seconds. `fixed`: of a step, `row`: of one of its rows, `decode`: of a picture through the
    VAE; the last two for 1024x1024, and for other sizes by their pixels.

    The defaults are assumed: 6 + 18·b ms for a step of b guided pictures, two rows each, and 25 ms
    for a VAE. Steps and VAE share the machine, so neither goes on while the other does.
    """

    fixed: float = 0.006
    row: float = 0.009
    decode: float = 0.025

    def step(self, rows: int, area: float) -> float:
        """One evaluation of so many rows, all of one size."""
        return self.fixed + self.row * rows * area

    def picture(self, arrival: Arrival) -> float:
        """A picture that has the machine to itself."""
        steps = arrival.steps * self.step(arrival.rows, arrival.area)
        return steps + self.decode * arrival.area

    def least(self, arrival: Arrival, rows: int) -> float:
        """A picture's part where every call has `rows` rows, which is the best there can be."""
        share = self.fixed * arrival.rows / rows + self.row * arrival.rows * arrival.area
        return arrival.steps * share + self.decode * arrival.area

    def capacity(self, arrivals: Iterable[Arrival], rows: int) -> float:
        """Pictures a second of such a load that full calls of `rows` could make."""
        parts = [self.least(arrival, rows) for arrival in arrivals]
        return len(parts) / sum(parts)
