"""Job files: many pictures described in one file, in one of three formats."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path, PurePath
from typing import Any

from sakuga.engine.errors import UsageError
from sakuga.engine.jobs.csv_lines import read_csv
from sakuga.engine.jobs.grid import Grid, ending
from sakuga.engine.jobs.ids import id_fault, same_file_key
from sakuga.engine.jobs.job import Job, with_wildcards_replaced
from sakuga.engine.jobs.jsonl import read_jsonl
from sakuga.engine.jobs.line import Line, Place, checked_defaults, merged
from sakuga.engine.jobs.prompt_lines import read_prompt_lines
from sakuga.engine.jobs.text_file import read_text
from sakuga.engine.jobs.wildcards import Wildcards, holds_wildcard
from sakuga.engine.refine.detail import Detail
from sakuga.engine.runtime.stages import Hires

MIN_DIGITS = 5  # of a default id, so that a growing file keeps its ids
MOST_BYTES = 1 << 30

Reader = Callable[[str, str], Iterator[Line]]
READERS: dict[str, Reader] = {
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".json": read_jsonl,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".txt": read_prompt_lines,
}
_LOOKS_LIKE_JSON = re.compile(r'\s*\{\s*"')
_PROMPTS = ("prompt", "negative_prompt")
_STAGES_WITH_PROMPTS = ("hires", "detail")


def read_jobs(
    path: Path, defaults: Mapping[str, Any] | None = None, wildcards: Path | None = None
) -> list[Job]:
    """Reads a job file in UTF-8: `.jsonl`, `.csv` and `.tsv`, or `.txt` with a prompt a line.

    `defaults`: what jobs take where neither they nor the file say anything, by any name of a field,
    as JSON has it. `wildcards`: the folder that `__name__` in prompts is looked up in.

    A job without id is numbered. One without a seed, or with -1, has the seed None and keeps its
    wildcards: `job.with_seed` gives both; those of the others are replaced here.
    Raises UsageError that names file, line and field for the first thing that is wrong.
    """
    return parse_jobs(read_text(path, "job file", MOST_BYTES), str(path), defaults, wildcards)


def parse_jobs(
    text: str,
    source: str,
    defaults: Mapping[str, Any] | None = None,
    wildcards: Path | None = None,
) -> list[Job]:
    """The jobs in the text of a job file. `source` names it in errors, and its ending the format.

    Raises as `read_jobs`.
    """
    usual = checked_defaults(defaults or {}, Place("The defaults"))
    words = None if wildcards is None else Wildcards(wildcards)
    read = _reader(text, source)
    jobs: list[Job] = []
    for order, line in enumerate(read(text, source), 1):
        whole = Line(line.place, merged(usual, line.values), line.notes)
        jobs += _jobs(whole, order, len(jobs), words)
    if not jobs:
        raise UsageError(
            f"{source} holds no jobs.", hint='Write one JSON object a line: {"prompt": "1girl"}.'
        )
    _refuse_duplicates(jobs)
    return jobs


def _reader(text: str, source: str) -> Reader:
    suffix = PurePath(source).suffix.lower()
    json = _LOOKS_LIKE_JSON.match(text) is not None
    if json and suffix not in (".csv", ".tsv"):
        return read_jsonl
    if suffix not in READERS:
        raise UsageError(
            f"{source}: it is not clear how to read this job file.",
            note=f"Its name does not end in {', '.join(READERS)}, and it is not JSON.",
            hint="Give it one of these endings: .txt is for a prompt a line.",
        )
    return READERS[suffix]


def _jobs(line: Line, order: int, before: int, words: Wildcards | None) -> list[Job]:
    """The pictures of a line, which is number `order` of those with jobs: one, or those of its
    lists and count, whose ids are numbered."""
    if "prompt" not in line.values:
        raise UsageError(
            f"{line.place}: field 'prompt' is missing.", hint="Every job needs a prompt."
        )
    grid, place = Grid.of(line), line.place
    grid.check_limit(before)
    ids = _ids(line, order, grid.pictures)
    chosen, notes = _wildcards_of(line, words)
    jobs = [
        Job(name, request, place.source, place.line, notes, nth, chosen)
        for nth, name, request in zip(count(before + 1), ids, grid.requests(), strict=False)
    ]
    return jobs if chosen is None else [with_wildcards_replaced(job) for job in jobs]


def _ids(line: Line, order: int, pictures: int) -> list[str]:
    """The id of a line for its one picture, or numbered ones."""
    name = line.values.get("id") or f"{order:0{MIN_DIGITS}d}"
    if pictures == 1:
        return [name]
    longest = name + ending(pictures)
    if fault := id_fault(longest):
        raise UsageError(
            f"{line.place}: field 'id' must be usable as a file name.",
            note=f"It becomes {longest!r}: {fault}.",
            hint="Choose a shorter one.",
        )
    return [name + ending(number) for number in range(1, pictures + 1)]


def _wildcards_of(line: Line, words: Wildcards | None) -> tuple[Wildcards | None, tuple[str, ...]]:
    """The wildcards, if the line uses any and all of them are known; and the notes of the line."""
    texts = [text for text in _texts(line) if holds_wildcard(text)]
    if not texts:
        return None, line.notes
    if words is None:
        note = (
            "The prompt holds a wildcard, and no folder of wildcards is given: it is left as it is."
        )
        return None, (*line.notes, note)
    for text in texts:
        try:
            words.check(text)
        except UsageError as error:
            what = f"{line.place}: {error.what}"
            raise UsageError(what, note=error.note, hint=error.hint) from error
    return words, line.notes


def _texts(line: Line) -> Iterator[str]:
    for name in _PROMPTS:
        value = line.values.get(name, "")
        yield from filter(None, value if isinstance(value, list) else (value,))
    for name in _STAGES_WITH_PROMPTS:
        for stage in _flat(line.values.get(name, ())):
            yield from filter(None, (stage.prompt, stage.negative_prompt))


def _flat(stages: Any) -> Iterator[Hires | Detail]:  # noqa: ANN401 (one, several, lists of either)
    if isinstance(stages, list | tuple):
        for each in stages:
            yield from _flat(each)
    elif stages is not None:
        yield stages


def _refuse_duplicates(jobs: Iterable[Job]) -> None:
    seen: dict[str, Job] = {}
    for job in jobs:
        first = seen.setdefault(same_file_key(job.id), job)
        if first is not job:
            raise UsageError(
                f"{job.source}: lines {first.line} and {job.line} have the same id {job.id!r}.",
                note=""
                if first.id == job.id
                else f"Line {first.line} has {first.id!r}: some file systems take both for one.",
                hint="Give every job an id of its own, or none to have them numbered.",
            )
