"""File names of pictures from a template, such as `{preset}/{index}-{prompt}`.

Whatever the jobs say, a name stays in the folder and can be written on every system: each part of
it is a safe file name in the sense of `ids.id_fault`.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from sakuga.engine.errors import UsageError
from sakuga.engine.jobs.ids import id_fault, safe_part, same_file_key
from sakuga.engine.jobs.job import Job
from sakuga.engine.runtime.request import Defaults
from sakuga.engine.sampling.samplers import SAMPLERS, find_sampler
from sakuga.engine.sampling.schedules import SCHEDULES

DEFAULT = "{id}"
MOST_WORDS, MOST_WORD_BYTES = 8, 60  # of a prompt in a name

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[^{}]+|[{}]")
_BETWEEN_WORDS = re.compile(r"[\s!-/:-@\[-^`{-~、。，．・：；！？「」『』（）]+")
_TIMES = ("date", "time", "datetime", "now", "timestamp")


@dataclass(frozen=True)
class NameSource:
    """What names can say of the bundle that renders: its defaults, and the name of its model."""

    defaults: Defaults
    model: str


Field = Callable[[Job, NameSource], str]


def _guidance(job: Job, source: NameSource) -> str:
    asked = job.request.guidance
    return f"{source.defaults.guidance if asked is None else asked:.10g}"


def _sampler(job: Job, source: NameSource) -> str:
    return _sampler_label(job.request.sampler or source.defaults.sampler)


@lru_cache
def _sampler_label(spelling: str) -> str:
    """The sampler's own name, and the schedule's where the spelling carries one."""
    name, schedule = find_sampler(spelling)
    label = SAMPLERS[name].label
    return f"{label} {SCHEDULES[schedule].label}" if schedule else label


def _seed(job: Job, source: NameSource) -> str:
    assert job.request.seed is not None, "with_seed comes before a name with a seed in it"
    return str(job.request.seed)


def _preset(job: Job, source: NameSource) -> str:
    preset = source.defaults.preset
    return preset.name if preset else "none"


def _words(job: Job, source: NameSource) -> str:
    """The first words of the prompt, which are cut where they become long."""
    text = unicodedata.normalize("NFC", job.request.prompt[: 4 * MOST_WORDS * MOST_WORD_BYTES])
    words = [word for word in _BETWEEN_WORDS.split(text) if word]
    joined = "-".join(words[:MOST_WORDS]).encode(errors="replace")
    return joined[:MOST_WORD_BYTES].decode(errors="ignore").rstrip("-")


def _side(job: Job, given: int | None, usual: int) -> str:
    """Raises UsageError where the picture that the job begins from decides it."""
    request = job.request
    if request.init is not None and request.width is None and request.height is None:
        raise UsageError(
            f"The size of {job.id!r} cannot stand in its name.",
            note="The job says none, and has the one of the picture it begins from.",
            hint="Give the job width and height, or leave {width} and {height} out of --names.",
        )
    return str(given or usual)


def _init(job: Job, source: NameSource) -> str:
    init = job.request.init
    origin = init and init.picture.origin
    return origin.stem if isinstance(origin, Path) else "none"


FIELDS: dict[str, Field] = {
    "id": lambda job, source: job.id,
    "index": lambda job, source: f"{job.index:05d}",
    "seed": _seed,
    "width": lambda job, source: _side(job, job.request.width, source.defaults.size.width),
    "height": lambda job, source: _side(job, job.request.height, source.defaults.size.height),
    "steps": lambda job, source: str(job.request.steps or source.defaults.steps),
    "guidance": _guidance,
    "sampler": _sampler,
    "preset": _preset,
    "model": lambda job, source: source.model,
    "prompt": _words,
    "init": _init,
}


@dataclass(frozen=True)
class NameTemplate:
    """How names are made: texts and fields, by the parts between slashes."""

    text: str
    parts: tuple[tuple[str | Field, ...], ...]

    @classmethod
    def parse(cls, text: str) -> "NameTemplate":
        """Reads a template: `{field}` with one of FIELDS, `{{` and `}}` for braces, `/` for
        folders. Raises UsageError for an unknown field and for text that no file name can hold."""
        parts: list[list[str | Field]] = [[]]
        for match in _PIECE.finditer(text):
            piece, field = match.group(0, 1)
            if field is not None:
                parts[-1].append(_field(field, text))
            elif piece in ("{", "}"):
                raise UsageError(
                    f"The name template {text!r} has a brace without its partner.",
                    hint="Write {{ and }} for braces in a name.",
                )
            else:
                first, *more = piece.replace("{{", "{").replace("}}", "}").split("/")
                parts[-1].append(first)
                parts.extend([each] for each in more)
        for part in parts:
            _check_part(part, text)
        return cls(text, tuple(map(tuple, parts)))

    def name(self, job: Job, source: NameSource) -> str:
        """The picture's path below the output folder, without a suffix, with `/` between parts.

        A job whose seed or wildcards are open has no name that holds them: see `job.with_seed`.
        """
        return "/".join(
            safe_part("".join(p if isinstance(p, str) else p(job, source) for p in part))
            for part in self.parts
        )


def check_names(template: NameTemplate, jobs: Sequence[Job], source: NameSource) -> list[str]:
    """The names of jobs, in their order.

    Raises UsageError where two are one file, also to a file system that does not tell capitals or
    ways of writing an accent apart.
    """
    names = [template.name(job, source) for job in jobs]
    seen: dict[str, int] = {}
    for here, name in enumerate(names):
        first = seen.setdefault(same_file_key(name), here)
        if first != here:
            raise _same_name(template, jobs[first], jobs[here], names[first], name)
    return names


def _same_name(template: NameTemplate, one: Job, two: Job, name: str, other: str) -> UsageError:
    where = f"{two.source}: lines {one.line} and {two.line}" if two.line else "Two pictures"
    return UsageError(
        f"{where} would become the same file {other!r}.",
        note=f"The name template is {template.text!r}; the jobs are {one.id!r} and {two.id!r}."
        + (
            "" if name == other else f" The first is {name!r}: some file systems take both for one."
        ),
        hint="Put {id} into the template, which every job has for itself.",
    )


def _field(name: str, text: str) -> Field:
    if name in FIELDS:
        return FIELDS[name]
    near = get_close_matches(name, FIELDS, n=1)
    hint = f"Did you mean {{{near[0]}}}?" if near else ""
    if name in _TIMES:
        hint = "A rendering that goes on later must find its files again: leave the time out."
    raise UsageError(
        f"The name template {text!r} has an unknown field {name!r}.",
        note=f"Fields: {', '.join(FIELDS)}.",
        hint=hint,
    )


def _check_part(part: Iterable[str | Field], text: str) -> None:
    """Whether a part is a safe name where its fields are."""
    example = "".join(piece if isinstance(piece, str) else "x" for piece in part)
    if fault := id_fault(example):
        raise UsageError(
            f"The name template {text!r} gives no safe file names.",
            note=f"In the part {example!r}: {fault}.",
            hint="Write a path below the folder of --out, such as {preset}/{id}.",
        )
