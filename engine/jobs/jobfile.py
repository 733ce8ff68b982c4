"""Job files: one JSON object a line, one picture each unless it asks for more."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, cast, get_args

from sakuga.engine.errors import UsageError
from sakuga.engine.jobs.ids import id_fault, same_file_key
from sakuga.engine.jobs.job import Job
from sakuga.engine.runtime.request import Prefix, Request
from sakuga.engine.sampling.compat import find_compat
from sakuga.engine.sampling.noise.sources import find_rng
from sakuga.engine.sampling.samplers import find_sampler
from sakuga.engine.sampling.schedules import schedule_name
from sakuga.engine.text.segments import emphasis_name
from sakuga.profiles.buckets import Size

_SURROGATE = re.compile("[\ud800-\udfff]")
MIN_DIGITS = 5  # of a default id, so that a growing file keeps its ids
MOST_PICTURES = 9999  # of one job


@dataclass(frozen=True)
class _Field:
    """What a field must be, and a check that says so."""

    description: str
    valid: Callable[[Any], bool]


def _whole(least: int, limit: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and least <= value < limit


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not _SURROGATE.search(value)


def _is_scale(value: object) -> bool:
    if type(value) is int:
        return 0 <= value < 2**53
    return isinstance(value, float) and math.isfinite(value) and value >= 0


def _is_share(value: object) -> bool:
    return _is_scale(value) and cast(float, value) <= 1


def _is_size(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(Size.parse(value))
    except ValueError:
        return False


_COUNT = _Field("a whole number from 1", _whole(1, 2**31))
_SCALE = _Field("a number from 0", _is_scale)
_SEED = _Field("a whole number from 0, below 2**64, or -1 for any", _whole(-1, 2**64))
_TEXT = _Field("valid Unicode text", _is_text)
FIELDS = {
    "prompt": _TEXT,
    "negative_prompt": _TEXT,
    "width": _COUNT,
    "height": _COUNT,
    "steps": _Field("a whole number from 1 to 1000", _whole(1, 1001)),
    "guidance": _SCALE,
    "sampler": _TEXT,
    "schedule": _TEXT,
    "eta": _SCALE,
    "s_noise": _SCALE,
    "seed": _SEED,
    "rng": _TEXT,
    "variation_seed": _SEED,
    "variation_strength": _Field("a number from 0 to 1", _is_share),
    "seed_resize": _Field('a size such as "832x1216"', _is_size),
    "ensd": _Field("a whole number", _whole(-(2**63), 2**63)),
    "count": _Field(f"a whole number from 1 to {MOST_PICTURES}", _whole(1, MOST_PICTURES + 1)),
    "id": _TEXT,
    "compat": _TEXT,
    "clip_skip": _Field("a whole number from 0", _whole(0, 2**31)),
    "emphasis": _TEXT,
    "pad_conds": _Field("true or false", lambda value: isinstance(value, bool)),
    "prefix": _Field('"preset" or "none"', lambda value: value in get_args(Prefix)),
}
# What A1111 and diffusers call them.
OTHER_TOOLS = {
    "cfg": "guidance",
    "cfg_scale": "guidance",
    "guidance_scale": "guidance",
    "sampler_name": "sampler",
    "scheduler": "schedule",
    "num_inference_steps": "steps",
    "negative": "negative_prompt",
    "subseed": "variation_seed",
    "subseed_strength": "variation_strength",
    "eta_noise_seed_delta": "ensd",
    "batch_size": "count",
    "n_iter": "count",
}

# Cached: a file of a hundred thousand jobs names few samplers.
_FINDERS: dict[str, Callable[[str], object]] = {
    "sampler": lru_cache(find_sampler),
    "schedule": lru_cache(schedule_name),
    "compat": find_compat,
    "emphasis": emphasis_name,
    "rng": find_rng,
}


def read_jobs(path: Path) -> list[Job]:
    """Reads a job file in UTF-8. Blank lines do not count; a job without id is numbered.

    Raises UsageError that names file, line and field for the first thing that is wrong.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"The job file {path} cannot be read.",
            note=error.strerror or str(error),
            hint="Give a file with one JSON object a line.",
        ) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{path}, line {line}: not UTF-8 text", hint="Save the job file as UTF-8."
        ) from error
    return parse_jobs(text, str(path))


def parse_jobs(text: str, source: str) -> list[Job]:
    """The jobs in the text of a job file; `source` names it in errors. Raises as `read_jobs`."""
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise UsageError(
            f"{source} holds no jobs.", hint='Write one JSON object a line: {"prompt": "1girl"}.'
        )
    jobs = [
        job
        for order, (number, line) in enumerate(lines, 1)
        for job in _jobs(line, source, number, order)
    ]
    _refuse_duplicates(jobs)
    return jobs


def _jobs(line: str, source: str, number: int, order: int) -> list[Job]:
    """The pictures of a line: one, or `count` of them, whose ids are numbered."""
    place = f"{source}, line {number}"
    values = _object(line, place)
    for name, value in values.items():
        _check_field(name, value, place)
    if values.get("prompt") is None:
        raise UsageError(f"{place}: field 'prompt' is missing.", hint="Every job needs a prompt.")
    given = {name: value for name, value in values.items() if value is not None}
    name = given.pop("id", f"{order:0{MIN_DIGITS}d}")
    count = given.pop("count", 1)
    if "seed_resize" in given:
        given["seed_resize"] = Size.parse(given["seed_resize"])
    request = Request(**given)
    if count == 1:
        return [Job(name, request, source, number)]
    names = [f"{name}-{each:04d}" for each in range(1, count + 1)]
    _check_field("id", names[-1], place)
    pairs = zip(names, request.times(count), strict=True)
    return [Job(each, one, source, number) for each, one in pairs]


def _object(line: str, place: str) -> dict[str, Any]:
    try:
        value = json.loads(line, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{place}: not valid JSON.",
            note=_reason(error),
            hint='A line is one JSON object, such as {"prompt": "1girl", "seed": 42}.',
        ) from error
    if not isinstance(value, dict):
        raise UsageError(
            f"{place}: not a JSON object.",
            note=f"It is a {type(value).__name__}.",
            hint='A line is one JSON object, such as {"prompt": "1girl", "seed": 42}.',
        )
    return value


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}."
    return f"{error}."


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"field {twice!r} is given twice")
    return values


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _check_field(name: str, value: object, place: str) -> None:
    if name not in FIELDS:
        near = OTHER_TOOLS.get(name) or next(iter(get_close_matches(name, FIELDS, n=1)), None)
        raise UsageError(
            f"{place}: there is no field {name!r}.",
            note=f"Known fields: {', '.join(FIELDS)}.",
            hint=f"Did you mean {near!r}?" if near else "",
        )
    field = FIELDS[name]
    if value is None:
        return
    if not field.valid(value):
        raise UsageError(
            f"{place}: field {name!r} must be {field.description}.",
            note=f"It is {_shown(value)}.",
            hint="Leave the field out to get the usual value." if name != "prompt" else "",
        )
    _check_name(name, value, place)


def _check_name(name: str, value: object, place: str) -> None:
    find = _FINDERS.get(name)
    if find and isinstance(value, str):
        try:
            find(value)
        except UsageError as error:
            what = f"{place}: field {name!r}: {error.what}"
            raise UsageError(what, note=error.note, hint=error.hint) from error
    if name == "id" and isinstance(value, str) and (fault := id_fault(value)):
        raise UsageError(
            f"{place}: field 'id' must be usable as a file name.",
            note=f"It is {_shown(value)}: {fault}.",
            hint="Use letters, digits, dashes and underscores.",
        )


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _refuse_duplicates(jobs: list[Job]) -> None:
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
