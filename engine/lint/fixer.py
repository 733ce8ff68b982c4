"""A prompt rewritten as its card wants it, as far as that leaves everything else as it is read."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sakuga.engine.lint.agreement import adds_only, agree
from sakuga.engine.lint.finding import Edit, Finding, Mend, Where, edited
from sakuga.engine.lint.linter import Linter, Question
from sakuga.engine.lint.names import names_in
from sakuga.engine.lint.reading import Manner, read, read_negative
from sakuga.engine.text.surround import missing, surround

_MOST_ROUNDS = 16  # a tag put in its place may now be one too many, and so on
_MOST_ALONE = 50  # mends that are tried one by one where all together go wrong


@dataclass(frozen=True)
class Fixed:
    """Both prompts rewritten. `changes`: what was done, `undone`: what could not be, in words;
    `left`: what is still found."""

    prompt: str
    negative_prompt: str | None
    changes: tuple[str, ...]
    undone: tuple[str, ...]
    left: tuple[Finding, ...]


def fix(linter: Linter, question: Question) -> Fixed:
    """Rewrite both prompts until nothing more can be mended; the prompt with the preset's tags
    around it, for every tool, unless the question says otherwise.

    Every step is read again by the tool's own parser. One that changes more than it should, such as
    a weight, an edit or a BREAK, is not done, and what it was for stays among `left`.
    """
    changes: list[str] = []
    for where in ("prompt", "negative prompt"):
        question, done = _settled(linter, question, where)
        changes += [f"{where}: {words}" for words in done]
    left = linter.lint(question).findings
    undone = (*_tags_undone(linter, question), *_mends_undone(left))
    return Fixed(question.prompt, question.negative_prompt, tuple(changes), undone, left)


def _settled(linter: Linter, asked: Question, where: Where) -> tuple[Question, list[str]]:
    """The question with one of its prompts rewritten; as it was if that comes to no end."""
    question, changes = asked, list[str]()
    for _ in range(_MOST_ROUNDS):
        text, done = _step(linter, question, where)
        if not done:
            return question, changes
        changes += done
        if where == "prompt":
            question = replace(question, prompt=text)
        else:
            question = replace(question, negative_prompt=text)
    return asked, []


def _step(linter: Linter, question: Question, where: Where) -> tuple[str, list[str]]:
    text = question.prompt if where == "prompt" else question.negative_prompt or ""
    findings = linter.lint(question).findings
    mends = [each.mend for each in findings if each.where == where and each.mend]
    done = _tried(text, mends, question.manner, where)
    if done or where != "prompt":
        return edited(text, [edit for mend in done for edit in mend.edits]), [
            mend.words for mend in done
        ]
    return _with_tags(linter, question)


def _tried(text: str, mends: Sequence[Mend], manner: Manner, where: Where) -> list[Mend]:
    """Those of the mends that can be done together and change what they say alone."""
    look = read if where == "prompt" else read_negative
    reading = look(text, manner)

    def works(some: Sequence[Mend]) -> bool:
        new = edited(text, [edit for mend in some for edit in mend.edits])
        return agree(reading, look(new, manner), some)

    together = _apart(mends)
    if not together or works(together):
        return together
    alone = [mend for mend in mends[:_MOST_ALONE] if works([mend])]
    together = _apart(alone)
    return together if works(together) else alone[:1]


def _apart(mends: Iterable[Mend]) -> list[Mend]:
    """The mends that touch nothing of another, the smallest first."""
    chosen: list[Mend] = []
    taken: list[Edit] = []  # in order
    for mend in sorted(mends, key=lambda each: sum(edit.stop - edit.start for edit in each.edits)):
        if all(_fits(edit, taken) for edit in mend.edits):
            chosen.append(mend)
            for edit in mend.edits:
                insort(taken, edit)
    return chosen


def _fits(edit: Edit, taken: Sequence[Edit]) -> bool:
    """Whether nothing of an edit is taken; where two begin at once, nobody says which is first."""
    at = bisect_left(taken, edit)
    beside = [*taken[max(0, at - 1) : at + 1]]
    return not any(
        edit.start == each.start or (edit.start < each.stop and each.start < edit.stop)
        for each in beside
    )


def _with_tags(linter: Linter, question: Question) -> tuple[str, list[str]]:
    """The prompt with the preset's tags, where they change nothing else."""
    text, preset = question.prompt, linter.preset
    if preset is None or question.prefix == "none":
        return text, []
    reading, changes = read(text, question.manner), list[str]()
    if reading.refused is not None or len(reading.threads) > 1:
        return text, []  # which of the prompts between ANDs should have them, nobody says
    for where, prefix, suffix in (
        ("before", preset.prefix, ""),
        ("behind", "", preset.suffix),
    ):
        whole = surround(text, prefix, suffix, question.manner.rule)
        names = frozenset(names_in(prefix or suffix))
        after = read(whole, question.manner)
        if whole != text and adds_only(reading, after, names):
            new = ", ".join(missing(text, prefix or suffix))
            changes.append(f"put {new!r} {where} it")
            text, reading = whole, after
    return text, changes


def _tags_undone(linter: Linter, question: Question) -> Iterator[str]:
    preset, refused = linter.preset, read(question.prompt, question.manner).refused
    if preset is not None and question.prefix == "preset" and refused is None:
        for tags in (preset.prefix, preset.suffix):
            if missing(question.prompt, tags):
                yield f"Not added, for it would change how the prompt is read: {tags}."


def _mends_undone(left: Sequence[Finding]) -> Iterator[str]:
    for each in left:
        if each.mend:
            yield f"Not done, for it would change how the prompt is read: {each.mend.words}."
