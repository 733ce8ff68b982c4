"""ComfyUI's attention grammar: round brackets alone, and numbers that replace."""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

from sakuga.engine.errors import UsageError
from sakuga.engine.text.attention import ROUND, Piece

_TOKEN = re.compile(r"(\\[()]|[()])")


class _Span(NamedTuple):
    """Tokens from `start` to `stop`; `read`: the brackets among them are text."""

    start: int
    stop: int
    weight: float
    read: bool = False


def read_comfy_attention(text: str) -> list[Piece]:
    """The pieces of a prompt: `(x)` counts 1.1 times what is around it, `(x:w)` counts w whatever
    is around it; `\\(` is a bracket to be read, and so are `[` and `]`.

    A bracket that is never closed is one if the text ends with a closing one, else it is text.
    Behind a closing one too many, the next opening one is text.
    Source: Comfy-Org/ComfyUI, comfy/sd1_clip.py.

    Raises UsageError for a weight that is not finite.
    """
    tokens = [token for token in _TOKEN.split(text) if token]
    partners = dict(_pairs(tokens))
    pieces: list[Piece] = []
    spans = [_Span(0, len(tokens), 1.0)]
    while spans:
        span = spans.pop()
        if span.read:
            pieces.append(_piece(tokens, span))
        else:
            spans += reversed([*_parts(tokens, partners, span)])
    return pieces


def _parts(tokens: list[str], partners: dict[int, int], span: _Span) -> Iterator[_Span]:
    """What lies side by side in a span: texts, and what brackets hold."""
    behind = at = span.start  # behind the last pair of brackets
    depth = 0  # below 0 behind a closing bracket too many
    while at < span.stop:
        if tokens[at] != "(" or depth < 0:
            depth += {"(": 1, ")": -1}.get(tokens[at], 0)
            at += 1
            continue
        if behind < at:
            yield _Span(behind, at, span.weight, read=True)
        stop = min(partners.get(at, span.stop) + 1, span.stop)
        if stop - at > 1 and tokens[stop - 1] == ")":
            yield _within(tokens, _Span(at + 1, stop - 1, span.weight))
        else:
            yield _Span(at, stop, span.weight, read=True)
        behind = at = stop
    if behind < span.stop:
        yield _Span(behind, span.stop, span.weight, read=True)


def _within(tokens: list[str], span: _Span) -> _Span:
    """A pair's inside with its own weight. The number is taken off the last token."""
    start, stop, around, _ = span
    head, colon, number = tokens[stop - 1].rpartition(":") if start < stop else ("", "", "")
    if colon and (head or stop - start > 1):
        try:
            weight = float(number)
        except ValueError:
            pass
        else:
            tokens[stop - 1] = head
            return _Span(start, stop if head else stop - 1, weight)
    return _Span(start, stop, around * ROUND)


def _pairs(tokens: list[str]) -> Iterator[tuple[int, int]]:
    opened: list[int] = []
    for at, token in enumerate(tokens):
        if token == "(":
            opened.append(at)
        elif token == ")" and opened:
            yield opened.pop(), at


def _piece(tokens: list[str], span: _Span) -> Piece:
    texts = (
        token.removeprefix("\\") if token in ("\\(", "\\)") else token
        for token in tokens[span.start : span.stop]
    )
    text = "".join(texts)
    if not math.isfinite(span.weight):
        raise UsageError(
            f"{text.strip()[:40]!r} has a weight that cannot be reckoned with.",
            hint="Weights from 0.5 to 1.5 are usual.",
        )
    return Piece(text, span.weight)
