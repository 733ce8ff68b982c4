"""Render jobs into a folder: one file each, and a contact sheet of all."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from sakuga.engine.engine import Engine
from sakuga.engine.errors import RenderError, UsageError
from sakuga.engine.image.formats import PNG, FileFormat, encode
from sakuga.engine.image.sheet import MAX_THUMBNAILS, Thumbnail, contact_sheet, thumbnail
from sakuga.engine.jobs.ids import CONTACT_SHEET
from sakuga.engine.jobs.job import Job
from sakuga.engine.platform import write_file_atomic

SHEET_FILE = f"{CONTACT_SHEET}.png"


@dataclass(frozen=True)
class Rendered:
    """A picture that lies on the disk. `seconds`: since the one before it."""

    id: str
    path: Path
    seed: int
    parameters: str
    notes: tuple[str, ...]
    seconds: float


def render_jobs(
    engine: Engine,
    jobs: Sequence[Job],
    out: Path,
    on_step: Callable[[int, int, int], None] | None = None,
    format: FileFormat = PNG,
) -> Iterator[Rendered]:
    """Render every job to `out/<id>.png`, or with another format's suffix.

    Each is yielded as soon as it is durable on the disk.
    More than one job also gives `out/contact-sheet.png`. All jobs are checked before the first is
    rendered. Raises UsageError, SizeError, and RenderError where a file cannot be written.
    """
    for job in jobs:
        _check(engine, job)
    pictures = engine.render_many([job.request for job in jobs], on_step)
    with _writing(out):
        out.mkdir(parents=True, exist_ok=True)
    thumbnails: list[Thumbnail] = []
    before = perf_counter()
    for picture in pictures:
        job = jobs[picture.index]
        path = out / f"{job.id}{format.suffix}"
        with _writing(path):
            write_file_atomic(path, encode(picture.pixels, picture.parameters, format.options))
        if len(thumbnails) < MAX_THUMBNAILS:  # all a sheet shows; ten thousand would take gigabytes
            thumbnails.append(thumbnail(picture.pixels, job.id))
        seconds, before = perf_counter() - before, perf_counter()
        notes = (*job.notes, *picture.notes)
        yield Rendered(job.id, path, picture.seed, picture.parameters, notes, round(seconds, 3))
    if len(thumbnails) > 1:
        with _writing(out / SHEET_FILE):
            write_file_atomic(out / SHEET_FILE, contact_sheet(thumbnails))


def _check(engine: Engine, job: Job) -> None:
    try:
        engine.resolve(job.request)
    except UsageError as error:
        if job.line:
            raise type(error)(
                f"{job.source}, line {job.line} ({job.id}): {error.what}",
                note=error.note,
                hint=error.hint,
            ) from error
        raise


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RenderError(
            f"{path} could not be written: {error.strerror or error}.",
            note="Pictures written before it are whole.",
            hint="Free space or choose another folder with --out, then render again.",
        ) from error
