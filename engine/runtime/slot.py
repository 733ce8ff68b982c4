"""A picture on its way: where it stands, and which rows of which calls it contributes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from sakuga.engine.backend.base import Latent
from sakuga.engine.runtime.settings import Settings
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


@dataclass(frozen=True, eq=False)
class Beginning:
    """What a pass begins from besides noise, float32 [4, height, width] each: a picture's latent,
    as the UNet knows latents, and where a part of it is painted alone, a mask. `told`: what an
    inpainting model is told, [5, height, width]: the mask and the latent of what it leaves."""

    picture: Latent | None = None
    mask: Latent | None = None
    told: Latent | None = None


@dataclass(eq=False)
class Slot:
    """A picture on its way. `place` is its slot in the lane, set by the batcher.

    `encode` makes its rows, and `begin` what it begins from, when it is about to begin and on the
    thread that owns the device.
    `step` counts the evaluations done. `priority`: the higher goes first. `deadline`: when nobody
    wants it any more, on the clock of whoever runs the batcher; None for never. `preview_every`: so
    many evaluations, 0 for never. The batcher sets `number`, its place in order of arrival, and
    `left`, whether it is gone.
    """

    ticket: int
    settings: Settings
    encode: Callable[[], tuple[Sources, ...]]
    priority: int = 0
    deadline: float | None = None
    preview_every: int = 0
    place: int = -1
    step: int = 0
    number: int = -1
    left: bool = False
    begin: Callable[[], Beginning | None] = lambda: None

    @cached_property
    def rows(self) -> tuple[Sources, ...]:
        """What makes its rows in each evaluation; where nothing changes, the same objects."""
        return self.encode()

    @cached_property
    def beginning(self) -> Beginning | None:
        """What it begins from, None for noise alone."""
        return self.begin()

    @property
    def sources(self) -> Sources:
        """What makes its rows in the next evaluation."""
        return self.rows[self.step]

    @property
    def latent(self) -> tuple[int, int]:
        """(height, width) of the latent; slots of one call agree on it."""
        return self.settings.size.latent()

    @property
    def work_left(self) -> float:
        """What is still to do, in megapixel-steps: millions of pixels times evaluations."""
        return self.settings.work * (1 - self.step / self.settings.table.evaluations)

    @property
    def evaluations_left(self) -> int:
        """Evaluations still to do."""
        return self.settings.table.evaluations - self.step

    @property
    def shows(self) -> bool:
        """Whether the next evaluation is one to show a preview of."""
        return bool(self.preview_every) and (self.step + 1) % self.preview_every == 0

    @property
    def finished(self) -> bool:
        """Whether every evaluation is done."""
        return self.step == self.settings.table.evaluations


def edited_steps(settings: Settings) -> int:
    """How many evaluations A1111 reckons with: twice the steps for samplers of second order."""
    table = settings.table
    return 2 * table.steps if table.evaluations > table.levels else table.steps


def guidance_weights(weights: Sequence[float], guidance: float) -> tuple[list[float], float]:
    """Guidance as weights of rows: wᵢ·g for the prompts between ANDs, 1 − Σ wᵢ·g for the negative.

    Source: Ho and Salimans 2022 and Liu et al. 2022, in the form ê = e⁻ + Σ wᵢ·g·(eᵢ − e⁻).
    """
    positive = [weight * guidance for weight in weights]
    return positive, 1 - sum(positive)


def row_sources(
    settings: Settings, positives: Sequence[Course], negative: Course | None
) -> tuple[Sources, ...]:
    """The rows of a picture for each evaluation: the prompts', then the negative prompt's, if it
    counts for anything in this evaluation."""
    columns = {
        guidance: _columns(positives, negative, guidance) for guidance in set(settings.guidances)
    }
    known: dict[Sources, Sources] = {}
    rows = (columns[guidance][at] for at, guidance in enumerate(settings.guidances))
    return tuple(known.setdefault(row, row) for row in rows)


def counts_negative(settings: Settings, weights: Sequence[float]) -> bool:
    """Whether the negative prompt counts in any evaluation, for prompts of these weights."""
    return any(guidance_weights(weights, each)[1] != 0 for each in set(settings.guidances))


def _columns(
    positives: Sequence[Course], negative: Course | None, guidance: float
) -> list[Sources]:
    """The rows of each evaluation at this guidance."""
    weights, against = guidance_weights([course.weight for course in positives], guidance)
    courses = list(zip(positives, weights, strict=True))
    if negative is not None and against != 0:
        courses.append((negative, against))
    return list(zip(*(_column(course, weight) for course, weight in courses), strict=True))


def _column(course: Course, weight: float) -> list[RowSource]:
    known = {id(one): RowSource(one, weight) for one in course.conditionings}
    return [known[id(one)] for one in course.conditionings]
