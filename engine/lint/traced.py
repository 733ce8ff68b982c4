"""Prompts whose letters say where they stood, so that a tool's own parser tells what becomes of
each.

A parser takes all letters alike, apart from a few words and numbers it knows. So every letter and
digit of a prompt is replaced by one of its own, the parser reads that text, and in whatever it
gives each letter still tells its place in the prompt.
"""

import re

from sakuga.engine.text.networks import network_tags
from sakuga.engine.text.tokenizer import MAX_CHARACTERS

# CJK Extension B: letters to every parser, and more of them than a prompt may have.
_FIRST, _LAST = 0x20000, 0x2A6DF
assert MAX_CHARACTERS <= _LAST - _FIRST

# What parsers know besides networks: words between prompts and chunks, numbers behind a colon.
_KNOWN = re.compile(
    r"\b(?:BREAK|AND)\b|:\s*[+-]?(?:[\d._]+(?:[eE][+-]?\d+)?|(?i:inf(?:inity)?|nan)\b)"
)


def trace(prompt: str) -> str:
    """The prompt with a letter of its own for every letter and digit that no parser knows."""
    known = bytearray(len(prompt))
    for match in (*network_tags(prompt), *_KNOWN.finditer(prompt)):
        known[match.start() : match.end()] = b"\1" * len(match[0])
    return "".join(
        chr(_FIRST + at) if letter.isalnum() and not known[at] else _untraced(letter)
        for at, letter in enumerate(prompt)
    )


def place(letter: str) -> int | None:
    """Where a letter of a traced prompt stood in the prompt; None for one that has no trace."""
    at = ord(letter) - _FIRST
    return at if 0 <= at <= _LAST - _FIRST else None


def places(text: str) -> list[int]:
    """Where the letters of a traced text stood."""
    return [at for letter in text if (at := place(letter)) is not None]


def untrace(text: str, prompt: str) -> str:
    """A traced text with the letters of the prompt."""
    found = ((letter, place(letter)) for letter in text)
    return "".join(letter if at is None else prompt[at] for letter, at in found)


def _untraced(letter: str) -> str:
    return "x" if place(letter) is not None else letter
