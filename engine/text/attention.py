"""A1111's attention grammar: which words of a prompt count for more, and which for less."""

import re
from typing import NamedTuple

import numpy as np

from sakuga.engine.errors import UsageError

ROUND = 1.1
SQUARE = 1 / 1.1

_TOKEN = re.compile(
    r"(?P<escape>\\[()\[\]\\]|\\)|:\s*(?P<weight>[+-]?[.\d]+)\s*\)|(?P<plain>[^\\()\[\]:]+)|[()\[\]:]"
)
_BREAK = re.compile(r"\bBREAK\b")


class Piece(NamedTuple):
    """Words that count alike, and how much."""

    text: str
    weight: float


BREAK = Piece("BREAK", -1.0)  # the rest begins a new chunk


def read_attention(text: str) -> list[Piece]:
    """The pieces of a prompt: `(x)` counts 1.1, `[x]` 1 / 1.1, `(x:w)` w, and all that multiplied
    where they lie in one another; `\\(` is a bracket to be read.

    A bracket without its partner: an opening one reaches to the end, a closing one is text. BREAK
    between words is the piece `BREAK`; within a weight it is a word, as in A1111. `:w)` whose w is
    no number is text, where A1111 fails. Neighbours of one weight are one piece.
    Source: AUTOMATIC1111/stable-diffusion-webui, modules/prompt_parser.py.

    Raises UsageError for weights beyond all numbers.
    """
    pieces: list[Piece] = []
    factors: list[tuple[int, int, float]] = []  # from which piece to which, in order
    opened: dict[str, list[int]] = {"(": [], "[": []}
    for match in _TOKEN.finditer(text):
        token, weight = match[0], match["weight"]
        if match["escape"]:
            pieces.append(Piece(token[1:], 1.0))
        elif token in opened:
            opened[token].append(len(pieces))
        elif weight and opened["("] and not _is_number(weight):
            pieces.append(Piece(token[:-1], 1.0))
            factors.append((opened["("].pop(), len(pieces), ROUND))
        elif (weight or token == ")") and opened["("]:
            factors.append((opened["("].pop(), len(pieces), float(weight) if weight else ROUND))
        elif token == "]" and opened["["]:
            factors.append((opened["["].pop(), len(pieces), SQUARE))
        else:
            pieces += _broken(token)
    factors += [(start, len(pieces), ROUND) for start in opened["("]]
    factors += [(start, len(pieces), SQUARE) for start in opened["["]]
    return _merged(_weighted(pieces, factors)) or [Piece("", 1.0)]


def odd_weight(text: str) -> str | None:
    """The first `:w)` in a prompt whose w looks like a number and is none."""
    found = (match["weight"] for match in _TOKEN.finditer(text))
    return next((weight for weight in found if weight and not _is_number(weight)), None)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _broken(text: str) -> list[Piece]:
    first, *others = _BREAK.split(text)
    if not others:
        return [Piece(text, 1.0)]
    parts = [first.rstrip(), *(part.strip() for part in others[:-1]), others[-1].lstrip()]
    pieces = [Piece(parts[0], 1.0)]
    for part in parts[1:]:
        pieces += [BREAK, Piece(part, 1.0)]
    return pieces


def _weighted(pieces: list[Piece], factors: list[tuple[int, int, float]]) -> list[Piece]:
    weights = np.array([piece.weight for piece in pieces])
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for start, stop, factor in factors:  # innermost first, as rounding has it
            weights[start:stop] *= factor
    if not np.isfinite(weights).all():
        raise UsageError(
            "A weight in the prompt is too large for a number.",
            note="Weights of brackets within brackets multiply.",
            hint="Weights from 0.5 to 1.5 are usual.",
        )
    return [
        Piece(piece.text, weight) for piece, weight in zip(pieces, weights.tolist(), strict=True)
    ]


def _merged(pieces: list[Piece]) -> list[Piece]:
    runs: list[tuple[list[str], float]] = []
    for text, weight in pieces:
        if runs and runs[-1][1] == weight:
            runs[-1][0].append(text)
        else:
            runs.append(([text], weight))
    return [Piece("".join(texts), weight) for texts, weight in runs]
