"""A picture on its way: where it stands, and which rows of which calls it contributes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sakuga.engine.runtime.request import Settings
from sakuga.engine.text.conditioning import Conditioning


@dataclass(frozen=True, eq=False)
class Course:
    """One of the prompts a picture follows, encoded: its conditioning at each evaluation, and how
    much it counts among those between ANDs. Its length in chunks never changes."""

    conditionings: tuple[Conditioning, ...]
    weight: float = 1.0

    @property
    def chunks(self) -> int:
        """Its length in chunks of 77 tokens."""
        return self.conditionings[0].chunks

    def each(self, change: Callable[[Conditioning], Conditioning]) -> "Course":
        """The same with every conditioning changed."""
        changed = {id(one): change(one) for one in self.conditionings}
        return Course(tuple(changed[id(one)] for one in self.conditionings), self.weight)


@dataclass(frozen=True, eq=False)
class RowSource:
    """What makes one row: its conditioning, and its weight in ê = Σ weight · output."""

    conditioning: Conditioning
    weight: float

    @property
    def chunks(self) -> int:
        """Length of the conditioning in chunks of 77 tokens; rows of one call agree on it."""
        return self.conditioning.chunks


Sources = tuple[RowSource, ...]


@dataclass(eq=False)
class Slot:
    """A picture being denoised. `place` is its slot in the lane, set by the batcher.

    `rows`: what makes its rows, for each evaluation; where nothing changes, the same objects. How
    many they are and how long never changes. `step` counts the evaluations done.
    """

    ticket: int
    settings: Settings
    rows: tuple[Sources, ...]
    place: int = -1
    step: int = 0

    @property
    def sources(self) -> Sources:
        """What makes its rows in the next evaluation."""
        return self.rows[self.step]

    @property
    def latent(self) -> tuple[int, int]:
        """(height, width) of the latent; slots of one call agree on it."""
        return self.settings.size.latent()

    @property
    def finished(self) -> bool:
        """Whether every evaluation is done."""
        return self.step == self.settings.table.evaluations


def edited_steps(settings: Settings) -> int:
    """How many evaluations A1111 reckons with: twice the steps for samplers of second order."""
    table = settings.table
    return 2 * table.steps if table.evaluations > table.steps else table.steps


def guidance_weights(settings: Settings, weights: Sequence[float]) -> tuple[list[float], float]:
    """Guidance as weights of rows: wᵢ·g for the prompts between ANDs, 1 − Σ wᵢ·g for the negative.

    Source: Ho and Salimans 2022 and Liu et al. 2022, in the form ê = e⁻ + Σ wᵢ·g·(eᵢ − e⁻).
    """
    guidance = settings.guidance if settings.guided else 1.0
    positive = [weight * guidance for weight in weights]
    return positive, 1 - sum(positive)


def row_sources(
    settings: Settings, positives: Sequence[Course], negative: Course | None
) -> tuple[Sources, ...]:
    """The rows of a picture for each evaluation: the prompts', then the negative prompt's."""
    weights, against = guidance_weights(settings, [course.weight for course in positives])
    courses = list(zip(positives, weights, strict=True))
    if negative is not None:
        courses.append((negative, against))
    columns = [_column(course, weight) for course, weight in courses]
    known: dict[Sources, Sources] = {}
    return tuple(known.setdefault(row, row) for row in zip(*columns, strict=True))


def _column(course: Course, weight: float) -> list[RowSource]:
    known = {id(one): RowSource(one, weight) for one in course.conditionings}
    return [known[id(one)] for one in course.conditionings]
