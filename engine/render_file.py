"""`sakuga render BUNDLE --jobs FILE`: a job file's pictures, and on behind them the next time."""

import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from sakuga.engine.asked import asked
from sakuga.engine.errors import RenderError, SakugaError, StoppedError, UsageError
from sakuga.engine.outputs import Target, too_many
from sakuga.engine.place import Place
from sakuga.engine.progress import render_progress

if TYPE_CHECKING:
    from sakuga.engine.engine import Engine
    from sakuga.engine.jobs.batch import Batch
    from sakuga.engine.jobs.cluster.cluster import Cluster
    from sakuga.engine.jobs.enlist import Changed
    from sakuga.engine.jobs.job import Job
    from sakuga.engine.jobs.ledger import Ledger
    from sakuga.engine.jobs.stop import Stop
    from sakuga.engine.jobs.tally import Tally

# What --jobs alone can follow.
_OF_A_FILE = (
    "wildcards", "names", "retry_failed", "changed", "verify", "shards", "shard_size", "ray",
    "shard",
)  # fmt: skip


@dataclass(frozen=True)
class Again:
    """What to do about pictures that were made, or tried, before; as in `BatchOptions`."""

    retry_failed: bool = False
    changed: "Changed" = "stop"
    verify: bool = False


@dataclass(frozen=True)
class JobSource:
    """A job file, the folder of its wildcards, and the template of its pictures' names; None for
    none, and for the jobs' ids. `shard`: which share of it, such as 2/8; None for all."""

    file: Path
    wildcards: Path | None = None
    names: str | None = None
    shard: str | None = None

    def read(self, out: Path) -> tuple[list["Job"], str]:
        """Its jobs, and the folder in the output folder that they go into, "" for itself.

        Raises as `read_jobs`, `parse_shard` and `check_division`.
        """
        from sakuga.engine.jobs.jobfile import read_jobs
        from sakuga.engine.jobs.shard import parse_shard
        from sakuga.engine.jobs.shard_status import check_division

        shard = None if self.shard is None else parse_shard(self.shard)
        check_division(out, shard)
        jobs = read_jobs(self.file, wildcards=self.wildcards)
        return (jobs, "") if shard is None else (shard.of(jobs), str(shard))


@dataclass(frozen=True)
class FileOrder:
    """A job file to render, and how. `shard_bytes`: of the tar files to pack the pictures into,
    None for none; `command`: the command line that asked for it."""

    bundle: Path
    jobs: JobSource
    target: Target
    place: Place
    again: Again
    shard_bytes: int | None
    as_json: bool
    command: str


def render_file(order: FileOrder) -> None:
    """Render what of the jobs is not done.

    Raises RenderError where some could not be made, StoppedError where the same command goes on
    behind what is done, and what reading jobs, opening the engine and `Batch` raise.
    """
    from sakuga.engine.jobs.folder import claimed
    from sakuga.engine.jobs.stop import stop_signals

    jobs, place = order.jobs.read(order.target.folder)
    if not jobs:
        return click.echo(
            f"There is nothing in the share {order.jobs.shard} of the jobs.", err=True
        )
    out = order.target.folder / place
    with stop_signals() as stop:
        try:
            with claimed(out) as ledger:
                batch, tally = _render(order, jobs, out, ledger, stop)
                views = batch.write_views()
                if order.shard_bytes is not None:
                    views += batch.write_shards(order.shard_bytes)
                failures = batch.failures
        except KeyboardInterrupt as error:
            raise StoppedError(
                "Stopped as asked.",
                note="What was finished before is whole.",
                hint="The same command goes on behind it.",
            ) from error
    _summarize(batch, tally, views)
    if failures:
        raise RenderError(
            f"{batch.failed:,} of {batch.total:,} pictures could not be made.",
            note=" ".join(failures),
            hint="--retry-failed tries them again; the others are done and stay as they are.",
        )


def check_alone(context: click.Context, target: Target) -> None:
    """Raises UsageError for options beside --jobs that would be ignored: a job says all of its
    settings itself."""
    if target.name is not None:
        raise too_many(target.folder / target.name, "--jobs renders many")
    where = (*Place.__annotations__, "vram", "bundle", "out", "format", "quality")
    if given := asked(context, beside=("jobs", *where, *_OF_A_FILE, "as_json")):
        raise UsageError(
            f"--jobs cannot be combined with {', '.join(given)}.",
            note="A job file says the prompt and the settings of each picture.",
            hint="Write the settings into the job lines, or give a prompt without --jobs.",
        )


def check_without_file(context: click.Context) -> None:
    """Raises UsageError for options that mean something with --jobs alone, or with --from."""
    if context.params["picture"] is None and context.params["ignore"] is not None:
        raise UsageError(
            "--ignore says what to leave out of a picture.", hint="Add --from PICTURE."
        )
    names = {each.name for each in context.command.params} - {*_OF_A_FILE}
    if given := asked(context, beside=names):
        raise UsageError(
            f"{', '.join(given)} can do nothing without --jobs.",
            note="A ledger is kept for job files alone.",
            hint="Leave it out, or write the picture into a job file.",
        )


@contextmanager
def _opened(order: FileOrder) -> Iterator[tuple["Engine", "Cluster | None"]]:
    """The engine for the block, and where it does not render itself, what does."""
    if order.place.ray is None:
        with order.place.open(order.bundle) as engine:
            yield engine, None
    else:
        encoding = order.target.format.options
        with order.place.open_cluster(order.bundle, encoding) as cluster:
            yield cluster.engine, cluster


def _render(
    order: FileOrder, jobs: "list[Job]", out: Path, ledger: "Ledger", stop: "Stop"
) -> tuple["Batch", "Tally"]:
    from sakuga.engine.jobs.batch import Batch
    from sakuga.engine.jobs.enlist import BatchOptions
    from sakuga.engine.jobs.names import DEFAULT, NameSource, NameTemplate
    from sakuga.engine.jobs.tally import Tally

    again, stdout = order.again, sys.stdout
    template = NameTemplate.parse(order.jobs.names or DEFAULT)
    with _opened(order) as (engine, cluster):
        names = NameSource(engine.defaults, engine.bundle.manifest.checkpoint.name)
        options = BatchOptions(
            order.target.format,
            lambda job: template.name(job, names),
            retry_failed=again.retry_failed,
            changed=again.changed,
            verify=again.verify,
        )
        batch = Batch(engine, jobs, out, ledger, options, order.command, cluster)
        for note in batch.notes:
            click.echo(note, err=True)
        if batch.done and batch.waiting:
            click.echo(f"Going on behind what is done: {batch.done:,}.", err=True)
        tally = Tally(batch.counts)
        try:
            _go(batch, tally, stop, order.as_json, stdout)
        except StoppedError:
            if stop.asked:  # the disk is well: people may look at what there is
                with suppress(SakugaError):
                    _tell_views(batch.write_views())
            raise
    return batch, tally


def _go(batch: "Batch", tally: "Tally", stop: "Stop", as_json: bool, stdout: TextIO) -> None:
    from sakuga.engine.jobs.outcome import Failed

    with (
        render_progress(tally) as report,
        closing(batch.run(stop, report.look)) as outcomes,  # or it would end after the ledger
    ):
        for outcome in outcomes:
            task = outcome.task
            tally.add(task.size, failed=isinstance(outcome, Failed))
            if isinstance(outcome, Failed):
                report.failed(task.job.id, outcome.text)
                continue
            rendered = outcome.rendered(batch.out)
            report.picture(rendered)
            line = asdict(rendered) | {"path": str(rendered.path)}
            click.echo(json.dumps(line) if as_json else rendered.path, file=stdout)


def show_status(out: Path, as_json: bool) -> None:
    """Print how the rendering into a folder stands. Raises as `read_status`."""
    from sakuga.engine.jobs.shard_status import read_shards
    from sakuga.engine.jobs.status import read_status

    found = read_shards(out) or read_status(out)
    click.echo(json.dumps(found.as_json(), indent=2) if as_json else "\n".join(found.lines()))


def _summarize(batch: "Batch", tally: "Tally", views: list[Path]) -> None:
    from sakuga.engine.jobs.tally import rate_text, time_text

    made, seconds = tally.made, tally.seconds
    before = batch.done - made
    told = [f"{batch.done:,} of {batch.total:,} pictures are done"]
    told += [f"{before:,} of them were before"] if before else []
    told += [f"{made:,} made in {time_text(seconds)}, {rate_text(made / seconds)}"] if made else []
    click.echo(f"{'; '.join(told)}.", err=True)
    if made and len(tally.sizes) > 1:
        click.echo(f"By size: {tally.by_size(len(tally.sizes))}.", err=True)
    _tell_views(views)


def _tell_views(views: list[Path]) -> None:
    names = {".png": "Contact sheet", ".html": "Gallery", ".tar": "Shard"}
    for path in views:
        click.echo(f"{names[path.suffix]}: {path}", err=True)
