"""Render jobs into a folder: one PNG each, and a contact sheet of all."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from sakuga.engine.engine import Engine
from sakuga.engine.errors import RenderError
from sakuga.engine.image.sheet import Thumbnail, contact_sheet, thumbnail
from sakuga.engine.jobs.jobfile import Job
from sakuga.engine.platform import write_file_atomic
from sakuga.engine.runtime.request import Request

CONTACT_SHEET = "contact-sheet.png"


@dataclass(frozen=True)
class Rendered:
    """A picture that lies on the disk. `seconds`: since the one before it."""

    id: str
    path: Path
    seed: int
    parameters: str
    notes: tuple[str, ...]
    seconds: float


def request_of(job: Job) -> Request:
    """The request a job describes."""
    return Request(
        prompt=job.prompt,
        negative_prompt=job.negative_prompt,
        width=job.width,
        height=job.height,
        steps=job.steps,
        guidance=job.guidance,
        sampler=job.sampler,
        seed=job.seed,
        compat=job.compat,
        clip_skip=job.clip_skip,
    )


def render_jobs(
    engine: Engine,
    jobs: Sequence[Job],
    out: Path,
    on_step: Callable[[int, int, int], None] | None = None,
) -> Iterator[Rendered]:
    """Render every job to `out/<id>.png`, yielding each as soon as it is durable on the disk.

    More than one job also gives `out/contact-sheet.png`. All jobs are checked before the first is
    rendered. Raises UsageError, SizeError, and RenderError where a file cannot be written.
    """
    pictures = engine.render_many([request_of(job) for job in jobs], on_step)
    with _writing(out):
        out.mkdir(parents=True, exist_ok=True)
    thumbnails: list[Thumbnail] = []
    before = perf_counter()
    for picture in pictures:
        job = jobs[picture.index]
        path = out / f"{job.id}.png"
        with _writing(path):
            picture.save(path)
        thumbnails.append(thumbnail(picture.pixels, job.id))
        seconds, before = perf_counter() - before, perf_counter()
        yield Rendered(
            job.id, path, picture.seed, picture.parameters, picture.notes, round(seconds, 3)
        )
    if len(thumbnails) > 1:
        with _writing(out / CONTACT_SHEET):
            write_file_atomic(out / CONTACT_SHEET, contact_sheet(thumbnails))


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
