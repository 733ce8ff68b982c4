"""From a job file and a ledger to what is to be rendered, entered before anything is."""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal, TypeVar

from sakuga.engine.engine import Engine
from sakuga.engine.errors import OutputError, UsageError
from sakuga.engine.image.formats import PNG, FileFormat
from sakuga.engine.jobs.compare import Comparison, Draft, compare, refuse_one_file
from sakuga.engine.jobs.folder import Contents, Found, set_aside
from sakuga.engine.jobs.identity import NO_TOOLS, facts_text, request_text
from sakuga.engine.jobs.inputs import Inputs
from sakuga.engine.jobs.job import Job
from sakuga.engine.jobs.ledger import Ledger, Place
from sakuga.engine.jobs.outcome import Task
from sakuga.engine.jobs.records import known_facts, last_run, rows
from sakuga.engine.jobs.views import VIEWS
from sakuga.engine.runtime.request import Request

T = TypeVar("T")
Changed = Literal["stop", "redo", "keep"]
MANY = 5000  # jobs; of more, reading all prompts would take longer than people wait
_SHOWN = 3  # of many jobs


def id_of(job: Job) -> str:
    """The usual name of a job's file, without its ending."""
    return job.id


@dataclass(frozen=True)
class BatchOptions:
    """`name_of`: a job's file name without its ending, unlike any other job's. `changed`: what to
    do about pictures that are done and whose settings have changed since: stop, render them again,
    or keep them. `verify`: whether to read all pictures that are there."""

    format: FileFormat = PNG
    name_of: Callable[[Job], str] = id_of
    retry_failed: bool = False
    changed: Changed = "stop"
    verify: bool = False


@dataclass(frozen=True)
class Enlisted:
    """What is to be rendered, in the file's order, and what need not be: how many are done, and
    how many failed before and are left alone. `notes`: what else there is to say. `inputs`: the
    pictures that jobs begin from."""

    tasks: list[Task]
    done: int
    failed: int
    notes: tuple[str, ...]
    inputs: Inputs


@contextmanager
def _many_objects() -> Iterator[None]:
    """Within the block nothing is collected: of a hundred thousand jobs nothing is garbage, and
    looking for it takes as long as all the rest."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@_many_objects()
def enlist(
    engine: Engine, jobs: Sequence[Job], out: Path, ledger: Ledger, options: BatchOptions
) -> Enlisted:
    """Enter the jobs of a file into the ledger of the folder `out`.

    Jobs that are new or changed are checked first, so that nothing is entered unless all can be
    rendered. Raises UsageError and SizeError, which name the job's line; UsageError for changed
    jobs where options say "stop"; OutputError where the folder is another job file's.
    """
    number = ledger.circumstances(facts_text(engine, options.format))
    name_of, suffix = options.name_of, options.format.suffix
    known, inputs = rows(ledger.connection), Inputs.of(ledger, jobs)
    found = compare(
        *(jobs, known, number, lambda job: f"{name_of(job)}{suffix}"),
        lambda request: request_text(request, _tools(engine, request)),
        inputs,
    )
    ledger.note_all(inputs.notes())
    _refuse_another_file(found, jobs[0].source, out, ledger)
    if options.changed == "stop" and found.changed:
        raise _changed(found.changed, known_facts(ledger.connection))
    refuse_one_file(found, keep_changed=options.changed == "keep")
    contents = Contents(out, [row.path for row in known.values()])
    kept = [*found.done, *(found.changed if options.changed == "keep" else [])]
    held = contents.look([draft.row for draft in kept if draft.row], options.verify)
    fresh, again = _to_enter(found, {*held.missing, *held.altered}, options)
    check = checked_size if len(fresh) <= MANY else checked_but_for_prompts
    for draft in fresh:
        _told_where(inputs.require, draft.job)  # before anything opens them
    sizes = {draft.entry.id: check(engine, draft.job) for draft in fresh}
    contents.clear_leftovers(VIEWS)
    asides = [set_aside(out, known[id]) for id in held.altered]
    _enter(ledger, found, fresh, sizes, again)
    ledger.touched(held.touched)
    to_do = sorted([*fresh, *again, *found.waiting], key=lambda draft: draft.entry.position)
    tasks = [Task(job, entry.path, sizes.get(job.id, entry.size)) for job, entry, *_ in to_do]
    failed = 0 if options.retry_failed else len(found.failed)
    return Enlisted(
        tasks,
        len(jobs) - len(to_do) - failed,
        failed,
        tuple(_notes(found, held, asides, inputs.gone, options)),
        inputs,
    )


def _to_enter(
    found: Comparison, lost: set[str], options: BatchOptions
) -> tuple[list[Draft], list[Draft]]:
    """The jobs to be entered, and those that are entered and to be rendered again."""
    fresh, again = [*found.new], [draft for draft in found.done if draft.entry.id in lost]
    fresh += [
        draft for draft in found.changed if options.changed == "redo" or draft.entry.id in lost
    ]
    if options.retry_failed:
        again += found.failed
    return fresh, again


def _enter(
    ledger: Ledger,
    found: Comparison,
    fresh: Sequence[Draft],
    sizes: Mapping[str, str],
    again: Sequence[Draft],
) -> None:
    drafts = chain(found.waiting, found.failed, found.done, found.changed)
    ledger.enlist(
        entries=(entry._replace(size=sizes[entry.id]) for _, entry, *_ in fresh),
        again=[draft.entry.id for draft in again],
        places=[
            *(place for draft in drafts if (place := _moved(draft)) is not None),
            *(Place(None, 0, row.id) for row in found.gone if row.position is not None),
        ],
        gone=[row.id for row in found.gone if row.state != "done"],
    )


def _moved(draft: Draft) -> Place | None:
    row, entry = draft.row, draft.entry
    if row is None or (row.position, row.line) == (entry.position, entry.line):
        return None
    return Place(entry.position, entry.line, entry.id)


def checked_size(engine: Engine, job: Job) -> str:
    """The size of a job's picture, WxH. Raises UsageError and SizeError, which name its line."""
    return str(_told_where(lambda job: engine.resolve(job.request).size, job))


def checked_but_for_prompts(engine: Engine, job: Job) -> str:
    """The same in microseconds; a prompt that cannot be followed is found when its turn comes."""
    return str(_told_where(lambda job: engine.size_of(job.request), job))


def _told_where(check: Callable[[Job], T], job: Job) -> T:
    """What the check gives; its UsageErrors name the job's line."""
    try:
        return check(job)
    except UsageError as error:
        if job.line:
            raise type(error)(
                f"{job.source}, line {job.line} ({job.id}): {error.what}",
                note=error.note,
                hint=error.hint,
            ) from error
        raise


def _tools(engine: Engine, request: Request) -> Mapping[str, str]:
    """Hashes of what its stages name. What is not there is said when the job is checked."""
    try:
        return engine.tools.hashes(request.stages) if request.stages else NO_TOOLS
    except UsageError:
        return NO_TOOLS


def _refuse_another_file(found: Comparison, source: str, out: Path, ledger: Ledger) -> None:
    """The same file may have changed, and may have moved, but not both beyond recognition."""
    done = len(found.done) + len(found.changed)
    done += sum(row.state == "done" for row in found.gone)
    before = last_run(ledger.connection)
    here = str(Path(source).resolve())
    known = found.known or any(draft.same_request for draft in found.changed)
    if done and not known and before is not None and before.source != here:
        raise OutputError(
            f"{out} holds the pictures of another job file.",
            note=f"{done:,} pictures of {before.source}, and none of a job as {source} has it.",
            hint="Give another folder with --out, one for each job file.",
        )


def _changed(changed: Sequence[Draft], facts: Mapping[int, str]) -> UsageError:
    first = changed[0]
    where = f"{first.job.source}, line {first.entry.line} ({first.entry.id})"
    many = f" So have those of {len(changed) - 1:,} more." if len(changed) > 1 else ""
    return UsageError(
        f"{where}: the settings of a picture that is done have changed.",
        note=f"{'; '.join(first.changes(facts))}.{many}",
        hint="--changed redo renders what has changed again, --changed keep leaves it as it is; or "
        "give another folder, or the job another id. Jobs without an id are called by their "
        "number, which changes when lines above go.",
    )


def _notes(
    found: Comparison,
    held: Found,
    asides: Sequence[Path],
    inputs_gone: Sequence[str],
    options: BatchOptions,
) -> list[str]:
    kept = [row.id for row in found.gone if row.state == "done"]
    changed = [draft.entry.id for draft in found.changed]
    restated = [draft.entry.id for draft in found.new if draft.row is not None]
    said = "Rendered again" if options.changed == "redo" else "Left as they are"
    told = [
        ("No longer there and rendered again: {}.", held.missing),
        ("Changed on the disk, moved to {place} and rendered again: {}.", held.altered),
        (f"{said}, though their settings have changed: {{}}.", changed),
        ("Not rendered before and now with other settings: {}.", restated),
        ("No longer in the job file, and left as they are: {}.", kept),
        ("What was made of these is left as it is, though they are gone: {}.", inputs_gone),
    ]
    place = asides[0].parent if asides else ""
    return [text.format(_listed(ids), place=place) for text, ids in told if ids]


def _listed(ids: Sequence[str]) -> str:
    shown = ", ".join(ids[:_SHOWN])
    return shown if len(ids) <= _SHOWN else f"{shown} and {len(ids) - _SHOWN:,} more"
