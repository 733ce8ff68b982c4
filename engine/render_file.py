"""`sakuga render BUNDLE --jobs FILE`: a job file's pictures, and on behind them the next time."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sakuga.engine.asked import asked
from sakuga.engine.errors import RenderError, SakugaError, StoppedError, UsageError
from sakuga.engine.outputs import Target, too_many
from sakuga.engine.place import Place
from sakuga.engine.progress import render_progress

if TYPE_CHECKING:
    from sakuga.engine.engine import Engine
    from sakuga.engine.jobs.batch import Batch, MakeBelt
    from sakuga.engine.jobs.enlist import Changed
    from sakuga.engine.jobs.job import Job
    from sakuga.engine.jobs.ledger import Ledger
    from sakuga.engine.jobs.shard import Shard
    from sakuga.engine.jobs.stop import Stop
    from sakuga.engine.jobs.tally import Tally

# What --jobs alone can follow.
_OF_A_FILE = (
    "wildcards", "names", "shard", "ray", "retry_failed", "changed", "verify",
    "shards", "shard_size",
)  # fmt: skip


@dataclass(frozen=True)
class Again:
    """What to do about pictures that were made, or tried, before; as in `BatchOptions`."""

    retry_failed: bool = False
    changed: "Changed" = "stop"
    verify: bool = False


@dataclass(frozen=True)
class JobSource:
    """A job file, the folder of its wildcards, the template of its pictures' names, and which share
    of its jobs to render; None for none, for the jobs' ids, and for all."""

    file: Path
    wildcards: Path | None = None
    names: str | None = None
    shard: "Shard | None" = None


@dataclass(frozen=True)
class FileOrder:
    """A job file to render, and how. `shard_bytes`: of the tar files to pack the pictures into,
    None for none; `ray`: the cluster to render on, None for here; `command`: the command line that
    asked for it."""

    bundle: Path
    jobs: JobSource
    ray: str | None
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

    folder = order.target.folder
    if order.jobs.shard is not None:  # with a ledger of its own, for nobody locks across machines
        folder /= str(order.jobs.shard)
    with stop_signals() as stop:
        try:
            with claimed(folder) as ledger:
                batch, tally = _render(order, folder, ledger, stop)
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


def shard_called(text: str | None) -> "Shard | None":
    """What --shard says. Raises UsageError."""
    from sakuga.engine.jobs.shard import parse_shard

    return None if text is None else parse_shard(text)


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


def _render(
    order: FileOrder, folder: Path, ledger: "Ledger", stop: "Stop"
) -> tuple["Batch", "Tally"]:
    from sakuga.engine.jobs.batch import Batch
    from sakuga.engine.jobs.enlist import BatchOptions
    from sakuga.engine.jobs.jobfile import read_jobs
    from sakuga.engine.jobs.names import DEFAULT, NameSource, NameTemplate
    from sakuga.engine.jobs.tally import Tally

    again = order.again
    template = NameTemplate.parse(order.jobs.names or DEFAULT)
    jobs = read_jobs(order.jobs.file, wildcards=order.jobs.wildcards)
    if order.jobs.shard is not None:
        jobs = _share(order.jobs.shard, jobs)
    with _opened(order) as (engine, belt):
        names = NameSource(engine.defaults, engine.bundle.manifest.checkpoint.name)
        options = BatchOptions(
            order.target.format,
            lambda job: template.name(job, names),
            retry_failed=again.retry_failed,
            changed=again.changed,
            verify=again.verify,
        )
        batch = Batch(engine, jobs, folder, ledger, options, order.command, belt)
        for note in batch.notes:
            click.echo(note, err=True)
        if batch.done and batch.waiting:
            click.echo(f"Going on behind {batch.done:,} pictures that are done.", err=True)
        tally = Tally(batch.counts)
        try:
            _go(batch, tally, stop, order.as_json)
        except StoppedError:
            if stop.asked:  # the disk is well: people may look at what there is
                with suppress(SakugaError):
                    batch.write_views()
            raise
    return batch, tally


def _share(shard: "Shard", jobs: list["Job"]) -> list["Job"]:
    share = shard.of(jobs)
    if not share:
        raise UsageError(
            f"Share {shard} of the job file is empty.",
            note=f"It has {len(jobs):,} jobs.",
            hint="Ask for fewer shares.",
        )
    return share


@contextmanager
def _opened(order: FileOrder) -> Iterator[tuple["Engine", "MakeBelt | None"]]:
    """The engine that knows the bundle, and what renders if it does not."""
    if order.ray is None:
        with order.place.open(order.bundle) as engine:
            yield engine, None
        return
    from sakuga.engine.jobs.cluster.cluster import opened_cluster
    from sakuga.engine.jobs.cluster.conveyor import ClusterConveyor
    from sakuga.engine.jobs.cluster.order import EngineOptions

    place, encoding = order.place, order.target.format.options
    options = EngineOptions(
        place.backend, place.preset, place.threads, place.vram_bytes, place.embeddings, encoding
    )

    def say(words: str) -> None:
        click.echo(words, err=True)

    with opened_cluster(order.bundle, order.ray, options, say) as cluster:
        yield (
            cluster.engine,
            lambda writer, keep, stop, _: ClusterConveyor(cluster, writer, keep, stop),
        )


def _go(batch: "Batch", tally: "Tally", stop: "Stop", as_json: bool) -> None:
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
            click.echo(json.dumps(line) if as_json else rendered.path)


def show_status(out: Path, as_json: bool) -> None:
    """Print how the rendering into a folder stands, or into each of its shares' folders. Raises as
    `read_status`."""
    from sakuga.engine.jobs.shard import shares_in
    from sakuga.engine.jobs.status import read_status

    found = [read_status(folder) for folder in shares_in(out) or [out]]
    if as_json:
        facts = [each.as_json() for each in found]
        click.echo(json.dumps(facts if len(facts) > 1 else facts[0], indent=2))
    else:
        click.echo("\n".join(line for each in found for line in each.lines()))


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
    names = {".png": "Contact sheet", ".html": "Gallery", ".tar": "Shard"}
    for path in views:
        click.echo(f"{names[path.suffix]}: {path}", err=True)
