"""What a job file asks for, held against what the ledger of its folder knows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from secrets import token_bytes
from typing import NamedTuple

from sakuga.engine.errors import UsageError
from sakuga.engine.jobs.identity import differences
from sakuga.engine.jobs.ids import same_file_key
from sakuga.engine.jobs.inputs import Inputs
from sakuga.engine.jobs.job import Job, with_seed
from sakuga.engine.jobs.ledger import Entry, Row
from sakuga.engine.runtime.request import Request


class Draft(NamedTuple):
    """A job, with nothing left to chance, as it would be entered now; `row`: what is known of it,
    if anything. `inputs`: which pictures it begins from have changed since, in words."""

    job: Job
    entry: Entry
    row: Row | None
    inputs: tuple[str, ...] = ()

    @property
    def same_request(self) -> bool:
        """Whether what is known of it says the same, whatever has changed around it."""
        return self.row is not None and self.row.request == self.entry.request

    @property
    def same(self) -> bool:
        """Whether what is known of it was for the same picture at the same place."""
        row, entry = self.row, self.entry
        return (
            not self.inputs
            and row is not None
            and (row.request, row.circumstances, row.path)
            == (
                entry.request,
                entry.circumstances,
                entry.path,
            )
        )

    def changes(self, facts: Mapping[int, str]) -> list[str]:
        """What is not the same, in words. `facts`: by the number of the circumstances."""
        assert self.row is not None
        found = differences(self.row.request, self.entry.request)
        if self.row.circumstances != self.entry.circumstances:
            old, new = facts[self.row.circumstances], facts[self.entry.circumstances]
            found += differences(old, new)
        if self.row.path != self.entry.path:
            found.append(f"file: {self.row.path} then, {self.entry.path} now")
        return [*found, *self.inputs]


@dataclass
class Comparison:
    """Every job of the file in one of these lists, in the file's order; each row of a job that is
    no longer in it in `gone`.

    `new`: not known, or not rendered and now with other settings. `waiting`, `failed`, `done`:
    known and the same. `changed`: done, with other settings.
    """

    new: list[Draft] = field(default_factory=list)
    waiting: list[Draft] = field(default_factory=list)
    failed: list[Draft] = field(default_factory=list)
    done: list[Draft] = field(default_factory=list)
    changed: list[Draft] = field(default_factory=list)
    gone: list[Row] = field(default_factory=list)

    @property
    def known(self) -> int:
        """How many jobs of the file the ledger knows as they are."""
        return len(self.waiting) + len(self.failed) + len(self.done)


def compare(
    jobs: Sequence[Job],
    rows: Mapping[str, Row],
    circumstances: int,
    path_of: Callable[[Job], str],
    text_of: Callable[[Request], str],
    inputs: Inputs,
) -> Comparison:
    """Sort the jobs of a file by what is to be done about them.

    `path_of`: of a job's picture. `text_of`: all that a request asks for. A job that leaves
    something to chance has what was drawn for it when it was first entered.
    """
    found = Comparison()
    drawn = memoryview(token_bytes(4 * len(jobs))).cast("I")  # below 2³², for every tool
    for position, job in enumerate(jobs):
        row = rows.get(job.id)
        draft = _draft(position, job, row, drawn[position], circumstances, path_of, text_of)
        if row is not None and row.state == "done" and draft.same:
            draft = draft._replace(inputs=inputs.changes(draft.job))
        _list_for(draft, found).append(draft)
    ids = {job.id for job in jobs}
    found.gone = [row for row in rows.values() if row.id not in ids]
    return found


def _draft(
    position: int,
    job: Job,
    row: Row | None,
    drawn: int,
    circumstances: int,
    path_of: Callable[[Job], str],
    text_of: Callable[[Request], str],
) -> Draft:
    """`drawn`: what decides what the job leaves to chance, if nothing has yet."""
    chosen = None
    if job.open:
        chosen = drawn if row is None or row.chosen is None else row.chosen
        job = with_seed(job, chosen)
    path, text = path_of(job), text_of(job.request)
    size = "" if row is None else row.size  # of a new one it is found when the job is checked
    entry = Entry(job.id, position, job.line, text, chosen, circumstances, size, path)
    return Draft(job, entry, row)


def _list_for(draft: Draft, found: Comparison) -> list[Draft]:
    row = draft.row
    if row is None:
        return found.new
    if not draft.same:
        return found.changed if row.state == "done" else found.new
    return {"done": found.done, "failed": found.failed, "queued": found.waiting}[row.state]


def refuse_one_file(found: Comparison, keep_changed: bool) -> None:
    """Raises UsageError where a picture would be written over another job's, waiting or done."""
    kept = [row for row in found.gone if row.state == "done"]
    now = [*found.new, *found.waiting, *found.failed, *found.done]
    if keep_changed:
        kept += [draft.row for draft in found.changed if draft.row is not None]
    else:
        now += found.changed
    keys = {same_file_key(each.path) for each in kept}
    keys.update(same_file_key(draft.entry.path) for draft in now)
    if len(keys) < len(kept) + len(now):
        raise _one_file(kept, now)


def _one_file(kept: Sequence[Row], now: Sequence[Draft]) -> UsageError:
    owners: dict[str, tuple[str, int]] = {}
    wanted = [
        *((row.path, row.id, 0) for row in kept),
        *((draft.entry.path, draft.entry.id, draft.entry.line) for draft in now),
    ]
    for path, id, line in wanted:
        first, first_line = owners.setdefault(same_file_key(path), (id, line))
        if first != id:
            return UsageError(
                f"The jobs {first!r} and {id!r} have one file, {path}.",
                note=f"They stand in lines {first_line} and {line}."
                if first_line
                else f"It is the picture of {first!r} as that job once was.",
                hint="Give each a name of its own.",
            )
    raise AssertionError("each job is in one list")
