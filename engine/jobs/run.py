"""Render pictures of prompts into a folder: one file each, and a contact sheet of all."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sakuga.engine.engine import Engine
from sakuga.engine.errors import RenderError
from sakuga.engine.image.formats import PNG, FileFormat
from sakuga.engine.jobs.bundle_watch import bundle_watch
from sakuga.engine.jobs.conveyor import Conveyor
from sakuga.engine.jobs.enlist import checked_size
from sakuga.engine.jobs.job import Job
from sakuga.engine.jobs.outcome import Failed, Outcome, Rendered, Task
from sakuga.engine.jobs.stop import Stop
from sakuga.engine.jobs.views import SHEET_FILE, write_sheet
from sakuga.engine.jobs.writer import Writer
from sakuga.engine.platform import make_folder


def render_jobs(
    engine: Engine,
    jobs: Sequence[Job],
    out: Path,
    look: Callable[[float], None] | None = None,
    format: FileFormat = PNG,
) -> Generator[Rendered, None, None]:
    """Render every job to `out/<id>.png`, or with another format's suffix, and keep no ledger.

    Each is yielded as soon as it is durable on the disk; `look` is told now and then how far those
    on the device are. More than one job also gives `out/contact-sheet.png`. All jobs are checked
    before the first is rendered, and the first that fails ends it. Raises UsageError, SizeError,
    what a picture raises, and RenderError where a file cannot be written.
    """
    writer = Writer(out, format, bundle_watch(engine.bundle))
    tasks = [Task(job, f"{job.id}{format.suffix}", checked_size(engine, job)) for job in jobs]
    with _writing(out):
        make_folder(out)
        conveyor = Conveyor(engine, writer.write, _first_failure_ends, Stop(), look)
        for outcome in conveyor.run(tasks):
            if not isinstance(outcome, Failed):
                yield outcome.rendered(out)
        if len(tasks) > 1:
            write_sheet(out / SHEET_FILE, [(out / task.path, task.job.id) for task in tasks])


def _first_failure_ends(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        if isinstance(outcome, Failed):
            raise outcome.error


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RenderError(
            f"{error.filename or out} could not be written: {error.strerror or error}.",
            note="Pictures written before it are whole.",
            hint="Free space or choose another folder with --out, then render again.",
        ) from error
