"""Places in a prompt where something can be written or taken out without touching the rest."""

import re

from sakuga.engine.lint.finding import Edit, Span

# What belongs to a tag beside its letters: escapes, and signs that mean nothing to any grammar.
_BEHIND = re.compile(r"(?:\\[()\[\]\\]|[^\\\w,\n()\[\]{}|:<\s])*")
_BEFORE = re.compile(r"(?:\\[()\[\]\\]|[^\\\w,\n()\[\]{}|:>\s])*\Z")
_LOOK_BACK = 64
_OPEN = re.compile(r"(?<!\\)([(\[])[ \t]*\Z")
_CLOSE = re.compile(r"[ \t]*(?::\s*[+-]?[.\d]+\s*)?([)\]])")
_ROUND = re.compile(r"(?<!\\)\(|\\(?=\))")  # an opening bracket, and the escape of a closing one
_COMMA_BEHIND = re.compile(r"[ \t]*,[ \t]*")
_COMMA_BEFORE = re.compile(r"[ \t]*,[ \t]*\Z")
_PARTNERS = {"(": ")", "[": "]"}


def extent(prompt: str, span: Span) -> Span:
    """The letters of a tag with the signs that belong to it."""
    start, stop = span
    back = max(0, start - _LOOK_BACK)
    before = _BEFORE.search(prompt[back:start])
    behind = _BEHIND.match(prompt, stop)
    assert before is not None and behind is not None  # both match nothing, too
    start, stop = back + before.start(), behind.end()
    opened = len(_ROUND.findall(prompt, start, stop)) - prompt.count(")", start, stop)
    closed = opened > 0 and prompt[stop : stop + opened] == ")" * opened
    return start, stop + opened if closed else stop


def taken_out(prompt: str, span: Span) -> Edit | None:
    """The edit that takes out a tag with the brackets around it and one comma; None where other
    words lean on it."""
    start, stop = _unwrapped(prompt, *extent(prompt, span))
    if behind := _COMMA_BEHIND.match(prompt, stop):
        return Edit(start, behind.end(), "")
    back = max(0, start - _LOOK_BACK)
    if before := _COMMA_BEFORE.search(prompt[back:start]):
        return Edit(back + before.start(), stop, "")
    if not prompt[:start].strip() and not prompt[stop:].strip():
        return Edit(0, len(prompt), "")
    return None


def _unwrapped(prompt: str, start: int, stop: int) -> Span:
    """The span with the pairs of brackets that hold it alone."""
    while True:
        back = max(0, start - _LOOK_BACK)
        opening = _OPEN.search(prompt[back:start])
        closing = _CLOSE.match(prompt, stop)
        if not opening or not closing or _PARTNERS[opening[1]] != closing[1]:
            return start, stop
        start, stop = back + opening.start(), closing.end()
