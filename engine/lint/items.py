"""A prompt as what lies between its commas: the pieces that can change places."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sakuga.engine.text.composition import read_composition
from sakuga.engine.text.networks import network_tags
from sakuga.engine.text.segments import Rule

_WORDS = ("AND", "BREAK")
_SIGN = re.compile(r"\\.|\b(?:AND|BREAK)\b|[()\[\]]|(?P<comma>[,\n][,\s]*)", re.DOTALL)
_PARTNERS = {")": "(", "]": "["}


class Item(NamedTuple):
    """What lies between two commas outside of all brackets."""

    start: int
    stop: int


class Block(NamedTuple):
    """What lies between BREAKs and ANDs; a weight at its end is no part of its items."""

    start: int
    stop: int
    items: tuple[Item, ...]


def blocks(prompt: str, rule: Rule) -> Iterator[Block]:
    """The blocks of a prompt. In A1111 AND ends all brackets, and BREAK within one is a word; the
    other tools know neither, and no weight at the end."""
    start, opened, commas = 0, list[str](), list[re.Match[str]]()
    for sign in _SIGN.finditer(_without_networks(prompt)):
        text = sign[0]
        if text in _WORDS:
            if rule == "a1111" and (text == "AND" or not opened):
                yield _block(prompt, start, sign.start(), commas, rule)
                start, opened, commas = sign.end(), [], []
        elif text in _PARTNERS.values():
            opened.append(text)
        elif opened and _PARTNERS.get(text) == opened[-1]:
            opened.pop()
        elif sign["comma"] and not opened:
            commas.append(sign)
    yield _block(prompt, start, len(prompt), commas, rule)


def _without_networks(prompt: str) -> str:
    """The prompt with nothing in its networks that could be a sign."""
    for found in network_tags(prompt):
        prompt = prompt[: found.start()] + "x" * len(found[0]) + prompt[found.end() :]
    return prompt


def _block(
    prompt: str, start: int, stop: int, commas: Sequence[re.Match[str]], rule: Rule
) -> Block:
    end = stop
    if rule == "a1111":
        (part, *_) = read_composition(prompt[start:stop])
        end = start + len(part.text)
    edges = [(start, start), *(sign.span() for sign in commas if sign.start() < end), (end, end)]
    pairs = zip((edge[1] for edge in edges), (edge[0] for edge in edges[1:]), strict=False)
    items = (_stripped(prompt, *pair) for pair in pairs)
    return Block(start, stop, tuple(item for item in items if item.start < item.stop))


def _stripped(prompt: str, start: int, stop: int) -> Item:
    text = prompt[start:stop]
    left = len(text) - len(text.lstrip())
    return Item(start + left, max(start + left, start + len(text.rstrip())))
