"""What a linter finds: where, in which words, and how it may be mended."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

# The most important first: what is not read as meant, what the model does not know, what it minds.
Code = Literal[
    "refused",
    "brackets",
    "retired-tag",
    "foreign-tag",
    "avoid",
    "conflict",
    "length",
    "repeat",
    "order",
]
Where = Literal["prompt", "negative prompt"]
Span = tuple[int, int]

_SHOWN = 60


class Edit(NamedTuple):
    """The characters from `start` to `stop` become `text`."""

    start: int
    stop: int
    text: str


@dataclass(frozen=True)
class Mend:
    """How a prompt is rewritten, and what is said of it.

    What the tool must read afterwards: the same, but the tags in `spans` are now those called
    `names`, as strongly weighted as before.
    """

    edits: tuple[Edit, ...]
    words: str
    spans: tuple[Span, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: a sentence on the characters from `start` to `stop` of a prompt.

    `replacement`: what would stand there instead, "" for nothing, None where nobody can say.
    """

    code: Code
    where: Where
    start: int
    stop: int
    sentence: str
    replacement: str | None = None
    mend: Mend | None = field(default=None, repr=False)


def most_important(findings: Iterable[Finding]) -> Finding | None:
    """The one to tell of where there is room for one."""
    codes = get_args(Code)
    return min(findings, key=lambda each: codes.index(each.code), default=None)


def shown(text: str) -> str:
    """A piece of a prompt as sentences quote it: whole if it is short."""
    line = " ".join(text.split())
    return repr(line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…")


def edited(text: str, edits: Iterable[Edit]) -> str:
    """The text with edits made that do not overlap."""
    parts, behind = list[str](), 0
    for start, stop, new in sorted(edits):
        parts += text[behind:start], new
        behind = stop
    return "".join((*parts, text[behind:]))
