"""Brackets that weigh where they should name, have no partner, or hold what cannot be followed.

What they do is asked of the tool's own parser: by what it made of the traced prompt.
"""

import re
from collections.abc import Iterator
from math import isclose

from sakuga.engine.lint.finding import Edit, Finding, Mend, Where, shown
from sakuga.engine.lint.names import tag_name
from sakuga.engine.lint.reading import Manner, Mention, Moment, Reading
from sakuga.engine.lint.spots import extent
from sakuga.engine.lint.traced import place
from sakuga.engine.text.attention import BREAK, ROUND, SQUARE, odd_weight
from sakuga.profiles.tags import tag_table

# lucy (cyberpunk), lucy_(cyberpunk), st. louis (luxurious wheels) (azur lane), rem (re:zero)
_NAME = re.compile(r"([^()\[\]{}<>:|\\,\n]+?)((?:[ _]\([^()\[\]{}<>|\\,\n]+\))+)")
_ESCAPE = re.compile(r"\\[()\[\]\\]")
_BREAK = re.compile(r"\bBREAK\b")
_PARTNERS = {"a1111": {")": "(", "]": "["}, "comfy": {")": "("}}


def bracket_findings(reading: Reading, where: Where, manner: Manner) -> Iterator[Finding]:
    """What the brackets of a tool that knows them do otherwise than meant."""
    if not manner.weighs:
        return
    yield from _unescaped_names(reading, where)
    for thread in reading.threads:
        for moment in thread.moments:
            yield from _unpaired(reading, where, moment, manner)
            yield from _odd_weight(reading, where, moment)
            if manner.rule == "a1111":
                yield from _break_in_brackets(reading, where, moment)


def _unescaped_names(reading: Reading, where: Where) -> Iterator[Finding]:
    """`lucy (cyberpunk)`: the brackets weigh a part of the name, and none is read."""
    found: dict[tuple[str, str], list[tuple[Mention, re.Match[str]]]] = {}
    for mention in dict.fromkeys(reading.mentions):
        name = _called(reading.prompt, mention) if _weighs_behind(mention) else None
        if name is not None:
            key = mention.name, tag_name(name[0])
            found.setdefault(key, []).append((mention, name))
    for (_, meant), several in found.items():
        first = several[0][1]
        new = re.sub(r"([()])", r"\\\1", first[0])
        sentence = (
            f"{shown(first[0])}: the brackets weigh the words in them and are not read; a name is "
            f"written {new}."
        )
        mend = Mend(
            edits=tuple(
                Edit(at, at, "\\")
                for _, name in several
                for at in range(*name.span(2))
                if reading.prompt[at] in "()"
            ),
            words=f"escaped the brackets of {shown(first[0])}",
            spans=tuple(mention.span for mention, _ in several),
            names=(meant,),
        )
        yield Finding("brackets", where, *first.span(), sentence, new, mend)


def _weighs_behind(mention: Mention) -> bool:
    """Whether one pair of round brackets weighs what is behind in a tag."""
    base, *others = mention.weights
    return len(others) == 1 and isclose(others[0], base * ROUND)


def _called(prompt: str, mention: Mention) -> re.Match[str] | None:
    """The name that a tag is, brackets and all, if it looks like one."""
    start, _ = extent(prompt, mention.span)
    found = _NAME.fullmatch(prompt, start, mention.stop + 1)
    return None if found and tag_name(found[1]) in tag_table().people else found


def _unpaired(reading: Reading, where: Where, moment: Moment, manner: Manner) -> Iterator[Finding]:
    """The first opening bracket that is never closed, and the first closing one too many."""
    bare = _ESCAPE.sub("__", moment.text)
    left_over = _without_partner(bare, _PARTNERS[manner.rule])
    if not left_over:
        return
    pieces = manner.pieces(bare)
    ends = " (AND ends all brackets before it.)" if len(reading.threads) > 1 else ""
    for at in left_over:
        bracket, beside = bare[at], _tag_around(bare, at)
        read_as_text = any(bracket in text for text, _ in pieces)
        if bracket in "([":
            factor = f"{ROUND if bracket == '(' else SQUARE:.2g}"
            what = "is read as text" if read_as_text else f"weighs all that follows by {factor}"
            sentence = f"A {bracket!r} is never closed and {what}.{ends}"
        elif not beside or not read_as_text:  # :) is meant as it is read
            continue
        else:
            sentence = f"A {bracket!r} closes no bracket and is read as text.{ends}"
        start = _position(reading.prompt, bare, at)
        yield Finding("brackets", where, start, start + 1, sentence)


def _without_partner(text: str, partners: dict[str, str]) -> list[int]:
    """Where the first bracket stands that is never closed, and the first that closes none."""
    opened: dict[str, list[int]] = {opening: [] for opening in partners.values()}
    closing: list[int] = []
    for at, letter in enumerate(text):
        if letter in opened:
            opened[letter].append(at)
        elif letter in partners and opened[partners[letter]]:
            opened[partners[letter]].pop()
        elif letter in partners:
            closing.append(at)
    opening = sorted(at for several in opened.values() for at in several)
    return sorted((*opening[:1], *closing[:1]))


def _tag_around(text: str, at: int) -> bool:
    """Whether the tag a bracket stands in has a letter."""
    start = max(text.rfind(",", 0, at), text.rfind("\n", 0, at)) + 1
    stops = [stop for stop in (text.find(",", at), text.find("\n", at)) if stop >= 0]
    return any(place(letter) is not None for letter in text[start : min(stops, default=len(text))])


def _position(prompt: str, traced: str, at: int) -> int:
    """Where a sign of a traced text stands in the prompt: behind the letter before it."""
    before = next((found for each in traced[:at][::-1] if (found := place(each)) is not None), -1)
    return max(0, prompt.find(traced[at], before + 1))


def _odd_weight(reading: Reading, where: Where, moment: Moment) -> Iterator[Finding]:
    """`(x:1.2.3)`."""
    if weight := odd_weight(moment.text):
        start = max(0, reading.prompt.find(weight))
        sentence = f"{weight!r} in a prompt is no number, so it is read as words, not as a weight."
        yield Finding("brackets", where, start, start + len(weight), sentence)


def _break_in_brackets(reading: Reading, where: Where, moment: Moment) -> Iterator[Finding]:
    """`(a BREAK b:1.2)`: A1111 weighs it too, and then it is a word."""
    for piece in moment.pieces:
        found = None if piece == BREAK else _BREAK.search(piece.text)
        if found:
            start = _position(reading.prompt, piece.text, found.start())
            sentence = "BREAK within a weight is read as a word and begins no chunk."
            yield Finding("brackets", where, start, start + len("BREAK"), sentence)
            return
