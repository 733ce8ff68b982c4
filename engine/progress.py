"""Progress of a rendering on stderr: a bar on a terminal, lines elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from sakuga.engine.jobs.outcome import Rendered
    from sakuga.engine.jobs.tally import Tally

_FEW = 200  # pictures, of which each has a line
_SECONDS = 5.0  # between two lines of more


class Report(Protocol):
    """Whoever wants to know how a rendering goes; the tally has counted what it is told of."""

    def look(self, share: float) -> None:
        """Nothing new; the pictures on the device are so far, as the sum of their shares."""
        ...

    def picture(self, rendered: "Rendered") -> None:
        """A picture has been written."""
        ...

    def failed(self, id: str, text: str) -> None:
        """A picture could not be made, and why."""
        ...


@contextmanager
def render_progress(tally: "Tally") -> Iterator[Report]:
    """A report fit for where stderr goes."""
    if not sys.stderr.isatty():
        yield LineReport(tally)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("pictures", total=tally.total, completed=tally.done)
        yield BarReport(progress, task, tally)


class LineReport:
    """One line a picture; of more than 200, one line every five seconds."""

    def __init__(self, tally: "Tally") -> None:
        self._tally = tally
        self._news = News()
        self._told = monotonic()

    def look(self, share: float) -> None:
        """Nothing is said."""

    def picture(self, rendered: "Rendered") -> None:
        """A line, or none for some time, and one for each note not shown before."""
        tally = self._tally
        place = f"[{tally.done:,}/{tally.total:,}]"
        speed = f", {tally.speed()}" if tally.queued and tally.made > 1 else ""
        if tally.total <= _FEW:
            _say(f"{place} {rendered.id} {rendered.seconds:.2f} s{speed}")
        elif monotonic() - self._told > _SECONDS or not tally.queued:
            self._told = monotonic()
            _say(f"{place} {tally.queued:,} queued{speed}; {tally.by_size()}")
        for note in self._news.of(rendered):
            _say(note)

    def failed(self, id: str, text: str) -> None:
        """A line."""
        _say(f"{id} failed: {text}")


class BarReport:
    """A bar that moves with every step."""

    def __init__(self, progress: "Progress", task: "TaskID", tally: "Tally") -> None:
        self._progress, self._task, self._tally = progress, task, tally
        self._news = News()

    def look(self, share: float) -> None:
        """Move the bar by a fraction of a picture."""
        self._move(share)

    def picture(self, rendered: "Rendered") -> None:
        """Move the bar to a whole picture."""
        self._move()
        for note in self._news.of(rendered):
            self._progress.console.print(note, markup=False)

    def failed(self, id: str, text: str) -> None:
        """A line above the bar."""
        self._move()
        self._progress.console.print(f"{id} failed: {text}", markup=False)

    def _move(self, share: float = 0.0) -> None:
        tally = self._tally
        parts = [tally.speed(), tally.by_size(3) if len(tally.sizes) > 1 else ""]
        told = "; ".join(part for part in parts if part) or "pictures"
        moved = tally.done + tally.failed + share
        self._progress.update(self._task, completed=moved, description=told)


class News:
    """Lets each note through once, for the first picture it belongs to."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def of(self, rendered: "Rendered") -> list[str]:
        """Notes on this picture that no picture before it had."""
        fresh = [note for note in rendered.notes if note not in self._told]
        self._told.update(fresh)
        return [f"{rendered.id}: {note}" for note in fresh]


def _say(line: str) -> None:
    print(line, file=sys.stderr)
