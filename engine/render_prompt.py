"""`sakuga render BUNDLE "PROMPT"` and `--from PICTURE`: pictures that no job file asks for."""

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sakuga.engine.errors import UsageError
from sakuga.engine.outputs import Target
from sakuga.engine.place import Place
from sakuga.engine.progress import render_progress
from sakuga.engine.stage_options import spelled

if TYPE_CHECKING:
    from sakuga.engine.engine import Engine
    from sakuga.engine.jobs.job import Job

FindJobs = Callable[["Engine"], list["Job"]]  # some are found with the help of the open bundle


@dataclass(frozen=True)
class Asked:
    """What to render: a prompt, or a picture again without what `ignore` names. `given`: fields of
    a `Request`; `stages`: what `stages_given` says."""

    prompt: str | None
    picture: Path | None
    given: Mapping[str, Any]
    stages: Mapping[str, Any]
    ignore: str
    count: int


def render_prompt(bundle: Path, asked: Asked, target: Target, place: Place, as_json: bool) -> None:
    """Render it. Raises UsageError where nothing is asked for, MetadataError for a picture that
    cannot be made again, and what opening the engine and rendering raise."""
    if asked.picture is not None:
        return _render(bundle, _made_again(asked, asked.picture, target), target, place, as_json)
    if asked.prompt is not None:
        return _render(bundle, _prompted(asked, target), target, place, as_json)
    raise UsageError(
        "There is nothing to render.",
        hint='Give a prompt: sakuga render BUNDLE "1girl, smile" --out DIR, or --jobs FILE, '
        "or --from PICTURE.",
    )


def _prompted(asked: Asked, target: Target) -> FindJobs:
    from sakuga.engine.jobs.stage_values import with_stages
    from sakuga.engine.runtime.request import Request

    request = with_stages(Request(**asked.given), asked.stages, spelled)
    jobs = target.jobs(request.times(asked.count))
    return lambda _: jobs


def _made_again(asked: Asked, picture: Path, target: Target) -> FindJobs:
    from sakuga.engine.image.metadata import read_infotext
    from sakuga.engine.jobs.stage_values import with_stages
    from sakuga.engine.runtime.remake import with_options

    settings = with_options(read_infotext(picture), asked.given)
    init, mask = asked.stages.get("init"), asked.stages.get("mask")

    def find(engine: "Engine") -> list["Job"]:
        made = engine.remake(settings, ignore=asked.ignore.split(","), init=init, mask=mask)
        request = with_stages(made.request, asked.stages, spelled)
        return target.jobs(request.times(asked.count), made.notes)

    return find


def _render(bundle: Path, find_jobs: FindJobs, target: Target, place: Place, as_json: bool) -> None:
    from sakuga.engine.jobs.records import Count
    from sakuga.engine.jobs.run import render_jobs
    from sakuga.engine.jobs.tally import Tally
    from sakuga.engine.jobs.views import SHEET_FILE

    with place.open(bundle) as engine:
        jobs = find_jobs(engine)
        tally = Tally([Count("", "queued", len(jobs))])
        with (
            render_progress(tally) as report,
            closing(
                render_jobs(engine, jobs, target.folder, report.look, target.format)
            ) as pictures,
        ):
            for done in pictures:
                tally.add("")
                report.picture(done)
                line = json.dumps(asdict(done) | {"path": str(done.path)}) if as_json else done.path
                click.echo(line)
    if len(jobs) > 1:
        click.echo(f"Contact sheet: {target.folder / SHEET_FILE}", err=True)
