"""The pictures of a line: one for each combination of its lists, and for each of its count."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from sakuga.engine.errors import UsageError
from sakuga.engine.image.source import Source
from sakuga.engine.jobs.line import MOST_PICTURES, Line, Place, Values
from sakuga.engine.jobs.stage_fields import STAGE_FIELDS
from sakuga.engine.jobs.stage_values import with_stages
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.seeds import RANDOM_SEED

MIN_DIGITS = 4  # of a number behind an id, so that a growing grid keeps its ids
LARGEST_SEED = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Grid:
    """What the pictures of a line share, the lists in which they differ, and how often each comes.

    The list written last changes fastest, and fastest of all the count.
    """

    place: Place
    shared: Values
    axes: dict[str, list[Any]]
    count: int

    @classmethod
    def of(cls, line: Line) -> "Grid":
        """The grid of a line; most have no list and a count of 1."""
        shared = dict(line.values)
        axes = {
            name: shared.pop(name) for name, value in line.values.items() if type(value) is list
        }
        shared.pop("id", None)
        return cls(line.place, shared, axes, shared.pop("count", 1))

    @property
    def pictures(self) -> int:
        """How many there are."""
        return prod(map(len, self.axes.values())) * self.count

    def requests(self) -> Iterator[Request]:
        """The request of every picture.

        Seeds are those written: pictures of different lists share them, a count counts them up (or
        with a variation the variation's, as in A1111). None stands for a random one.
        Raises UsageError for a count whose seeds leave their range or would be variations of
        nothing.
        """
        for cell in product(*self.axes.values()):
            request = _request(self.shared | dict(zip(self.axes, cell, strict=True)), self.place)
            if self.count == 1:
                yield request
            else:
                yield from _counted(request, self.count, self.place)

    def check_limit(self, before: int) -> None:
        """Raises UsageError where a file of `before` pictures gets more than MOST_PICTURES by this
        line: before they take up memory."""
        total = before + self.pictures
        if total > MOST_PICTURES:
            sizes = {name: len(values) for name, values in self.axes.items()} | {
                "count": self.count
            }
            factors = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
            raise UsageError(
                f"{self.place}: with this line the file asks for {total:,} pictures.",
                note=f"At most {MOST_PICTURES:,} are made from one file. The line has {factors}.",
                hint="Shorten a list or the count, or divide the file.",
            )


def ending(number: int) -> str:
    """What the number of a picture, from 1, adds to the id of its line."""
    return f"-{number:0{MIN_DIGITS}d}"


def _request(values: Values, place: Place) -> Request:
    values = {name: value for name, value in values.items() if value is not None}
    for name in ("seed", "variation_seed"):
        if values.get(name) == RANDOM_SEED:
            values[name] = None
    if STAGE_FIELDS.keys().isdisjoint(values):
        return Request(**values)
    said = {name: values.pop(name) for name in STAGE_FIELDS if name in values}
    for name in ("init", "mask"):
        if name in said:
            said[name] = Source.of(Path(place.source).parent / said[name])
    try:
        return with_stages(Request(**values), said, lambda name: f"field {name!r}")
    except UsageError as error:
        raise UsageError(f"{place}: {error.what}", note=error.note, hint=error.hint) from error


def _counted(request: Request, count: int, place: Place) -> list[Request]:
    name = "variation_seed" if request.variation_strength else "seed"
    first: int | None = getattr(request, name)
    _check_count(request, first, count, place)
    if first is None:
        return [request] * count
    seeds: list[dict[str, Any]] = [{name: first + nth} for nth in range(count)]
    return [replace(request, **seed) for seed in seeds]


def _check_count(request: Request, first: int | None, count: int, place: Place) -> None:
    if request.variation_strength and request.seed is None:
        raise UsageError(
            f"{place}: a count of variations needs a seed.",
            note="They are variations of one picture, and without a seed each has its own.",
            hint="Give the field 'seed'.",
        )
    if first is not None and first + count - 1 > LARGEST_SEED:
        raise UsageError(
            f"{place}: the seeds of {count} pictures from {first} on are too large.",
            note=f"The largest seed is {LARGEST_SEED}.",
            hint="Begin with a smaller one.",
        )
