"""What a tool does not know and reads as words, and what A1111's edits and weights do unasked."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from sakuga.engine.lint.finding import Edit, Finding, Mend, Where, shown
from sakuga.engine.lint.reading import Manner, Reading
from sakuga.engine.lint.spots import extent
from sakuga.engine.lint.traced import places, untrace
from sakuga.engine.text.editing import Variant, read_edits
from sakuga.engine.text.networks import network_tags

_TOOLS = {"a1111": "A1111", "comfy": "ComfyUI", "diffusers": "diffusers"}

_WORDS: dict[str, Callable[[str], Iterable[re.Match[str]]]] = {
    "BREAK": re.compile(r"\bBREAK\b").finditer,
    "AND": re.compile(r"\bAND\b").finditer,
    "networks": network_tags,
}
_CURLY = re.compile(r"\{[^{}]+\}")
_SQUARE = re.compile(r"\[[^\[\]]+\]")
_ESCAPE = re.compile(r"\\(?=[()\[\]])")
_WEIGHED = re.compile(r"(?<!\\)[(\[]\s*\Z")
_LOOK_BACK = 64
_MOST_EDITS = 20  # of a prompt that are looked at


def structure_findings(reading: Reading, where: Where, manner: Manner) -> Iterator[Finding]:
    """What looks like structure and is none for this tool, or is where nobody meant any."""
    tool = _TOOLS[manner.rule]
    unknown = [*_WORDS] if manner.rule != "a1111" else []
    if manner.rule == "a1111" and where == "negative prompt":
        unknown = ["AND", "networks"]
        tool = "A1111, in a negative prompt,"
    for words in unknown:
        found = [*_WORDS[words](reading.prompt)]
        yield from _literal(found, where, f"{tool} knows no {words}")
    curly = [*_CURLY.finditer(reading.prompt)]
    yield from _literal(curly, where, "curly brackets are NovelAI's")
    if manner.rule == "comfy":
        square = [*_SQUARE.finditer(reading.prompt)]
        yield from _literal(square, where, "ComfyUI knows no square brackets")
    elif manner.rule == "diffusers":
        yield from _weights(reading, where)
        yield from _escapes(reading, where)
    else:
        yield from _never_read(reading, where, manner)
        yield from _edits_as_words(reading, where, manner)
        yield from _weight_of_all(reading, where)


def _literal(found: Sequence[re.Match[str]], where: Where, why: str) -> Iterator[Finding]:
    if found:
        sentence = f"{shown(found[0][0])} is read as words{_more(found)}: {why}."
        yield Finding("brackets", where, *found[0].span(), sentence)


def _more(found: Sequence[object]) -> str:
    others = len(found) - 1
    return f", and so {'is' if others == 1 else 'are'} {others} more" if others else ""


def _weights(reading: Reading, where: Where) -> Iterator[Finding]:
    """`(bad)` in diffusers. The brackets of `lucy (cyberpunk)` are meant to be read."""
    spans = [extent(reading.prompt, each.span) for each in dict.fromkeys(reading.mentions)]
    prompt = reading.prompt
    found = [
        (start, stop)
        for start, stop in spans
        if _WEIGHED.search(prompt[max(0, start - _LOOK_BACK) : start])
    ]
    if found:
        start, stop = found[0]
        sentence = (
            f"The brackets around {shown(prompt[start:stop])} are read as text{_more(found)}: "
            "diffusers knows no weights."
        )
        yield Finding("brackets", where, start, stop, sentence)


def _escapes(reading: Reading, where: Where) -> Iterator[Finding]:
    """`\\(` in diffusers."""
    found = [*_ESCAPE.finditer(reading.prompt)]
    if found:
        sentence = (
            f"A backslash before a bracket is read as text{_more(found)}: diffusers knows none."
        )
        edits = tuple(Edit(*each.span(), "") for each in found)
        start = found[0].start()
        mend = Mend(edits, "took the backslashes from the brackets")
        yield Finding(
            "brackets", where, start, start + 2, sentence, reading.prompt[start + 1], mend
        )


def _never_read(reading: Reading, where: Where, manner: Manner) -> Iterator[Finding]:
    """`[x:1.2]`: x comes after all steps."""
    if not reading.whole or "[" not in reading.prompt:
        return
    read = {at for thread in reading.threads for each in thread.moments for at in places(each.text)}
    unread = [at for at in places(reading.traced) if at not in read]
    for start, stop in _runs(unread, read):
        sentence = (
            f"{shown(reading.prompt[start:stop])} never appears in {manner.evaluations} steps: a "
            "number in square brackets says when words change, and is no weight."
        )
        yield Finding("brackets", where, start, stop, sentence)


def _runs(unread: list[int], read: set[int]) -> Iterator[tuple[int, int]]:
    """Unread letters with no read one between them."""
    start = 0
    for index, at in enumerate(unread):
        following = unread[index + 1] if index + 1 < len(unread) else None
        if following is None or any(between in read for between in range(at, following)):
            yield unread[start], at + 1
            start = index + 1


def _edits_as_words(reading: Reading, where: Where, manner: Manner) -> Iterator[Finding]:
    """`[a:b:0.5] c|d`: a bar outside of brackets makes the whole prompt text."""
    for thread in reading.threads:
        for moment in thread.moments:
            edits = [each for each in _SQUARE.finditer(moment.text) if {*":|"} & {*each[0]}]
            for found in edits[:_MOST_EDITS]:
                alone = read_edits(found[0], manner.evaluations)
                at = places(found[0])
                if at and alone != (Variant(manner.evaluations, found[0]),):
                    sentence = (
                        f"{shown(untrace(found[0], reading.prompt))} is read as words: a | outside "
                        "of square brackets, or a backslash at the end, makes all of it text."
                    )
                    yield Finding("brackets", where, at[0], at[-1] + 1, sentence)
                    return


def _weight_of_all(reading: Reading, where: Where) -> Iterator[Finding]:
    """`ratio 16:9`."""
    if len(reading.threads) == 1 and reading.threads[0].weight != 1:
        start = reading.prompt.rfind(":")
        sentence = (
            "The prompt ends with a number behind a colon, which A1111 reads as its weight: "
            f"guidance counts {reading.threads[0].weight:g} times."
        )
        yield Finding("brackets", where, start, len(reading.prompt), sentence)
