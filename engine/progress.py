"""Progress of a rendering on stderr: a bar on a terminal, a line a picture elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from sakuga.engine.jobs.run import Rendered


class Report(Protocol):
    """Whoever wants to know how a rendering goes."""

    def step(self, index: int, done: int, total: int) -> None:
        """Picture `index` has had `done` of `total` evaluations."""
        ...

    def picture(self, rendered: "Rendered") -> None:
        """A picture has been written."""
        ...


@contextmanager
def render_progress(pictures: int) -> Iterator[Report]:
    """A report for `pictures` pictures, fit for where stderr goes."""
    if not sys.stderr.isatty():
        yield LineReport(pictures)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("pictures"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield BarReport(progress, progress.add_task("rendering", total=pictures))


class LineReport:
    """One line a picture."""

    def __init__(self, pictures: int) -> None:
        self._pictures = pictures
        self._written = 0
        self._news = News()

    def step(self, index: int, done: int, total: int) -> None:
        """Steps are not shown."""

    def picture(self, rendered: "Rendered") -> None:
        """A line, and one more for each note not shown before."""
        self._written += 1
        place = f"[{self._written}/{self._pictures}]"
        print(f"{place} {rendered.id} {rendered.seconds:.2f} s", file=sys.stderr)
        for note in self._news.of(rendered):
            print(note, file=sys.stderr)


class BarReport:
    """A bar that moves with every step."""

    def __init__(self, progress: "Progress", task: "TaskID") -> None:
        self._progress = progress
        self._task = task
        self._written = 0
        self._news = News()

    def step(self, index: int, done: int, total: int) -> None:
        """Move the bar by a fraction of a picture."""
        self._progress.update(self._task, completed=self._written + done / (total + 1))

    def picture(self, rendered: "Rendered") -> None:
        """Move the bar to a whole picture."""
        self._written += 1
        self._progress.update(self._task, completed=self._written)
        for note in self._news.of(rendered):
            self._progress.console.print(note, markup=False)


class News:
    """Lets each note through once, for the first picture it belongs to."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def of(self, rendered: "Rendered") -> list[str]:
        """Notes on this picture that no picture before it had."""
        fresh = [note for note in rendered.notes if note not in self._told]
        self._told.update(fresh)
        return [f"{rendered.id}: {note}" for note in fresh]
