"""Prompt editing: `[from:to:when]`, and words that take turns: `[a|b]`. A1111's grammar.

    prompt   = (group | edit | turns | text)*
    group    = ( prompt )  or  ( prompt : prompt )  or  [ prompt ]
    edit     = [ prompt : prompt : number ]  or  [ prompt : number ]
    turns    = [ prompt | prompt | … ]

Brackets and colons that fit nowhere are text, as long as no bracket that means something lies
around them. A bar outside of `turns`, or a backslash with nothing behind it, makes the whole
prompt text. Source: AUTOMATIC1111/stable-diffusion-webui, modules/prompt_parser.py. Its parser
takes one of several readings of unpaired brackets, and which one depends on the process; here
what can be read as an edit is one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Union

from sakuga.engine.errors import UsageError

_TOKEN = re.compile(r"(?:[^\\\[\]():|]|\\.)+|[\\\[\]():|]")
_NUMBER = re.compile(r"\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*")
_MOST_CHARACTERS = 1 << 21  # of all texts together: a second of reading
_PARTNER = {")": "(", "]": "["}


class Variant(NamedTuple):
    """What a prompt says up to evaluation `last`, counted from 0."""

    last: int
    text: str


class _Edit(NamedTuple):
    before: "_Nodes"
    after: "_Nodes"
    when: int


class _Turns(NamedTuple):
    options: list["_Nodes"]


_Node = Union[str, _Edit, _Turns, list["_Node"]]  # noqa: UP007 (a name yet to come)
_Nodes = list[_Node]


def read_edits(prompt: str, evaluations: int, before: int = 0) -> tuple[Variant, ...]:
    """What the prompt says during `evaluations` of the network, in order; usually one variant.

    A number with a point in it is a part of all evaluations, another one counts them. As A1111
    compares, a variant that ends with step N serves the evaluations 0 to N, so it has one more
    than its number says if it is the first. `before`: evaluations of the pass before a hires pass,
    whose own count on from there, and as parts from 1 to 2.

    Raises UsageError for a prompt so long and edited so often that reading it takes its time.
    """
    whole = (Variant(evaluations, prompt),)
    if "[" not in prompt:
        return whole
    reader = _Reader(evaluations, before)
    if not reader.read(prompt):
        return whole
    ends = sorted({*reader.ends, evaluations})
    if len(ends) * len(prompt) > _MOST_CHARACTERS:
        raise UsageError(
            "The prompt changes too often for its length.",
            note=f"It has {len(prompt):,} characters and becomes {len(ends)} texts.",
            hint="Shorten the prompt, or take fewer steps.",
        )
    return tuple(Variant(end, _text_at(end, reader.nodes)) for end in ends)


def variant_at(variants: Sequence[Variant], evaluation: int) -> int:
    """Which variant serves an evaluation, counted from 0; behind the last one, as in A1111, the
    first."""
    return next((index for index, each in enumerate(variants) if evaluation <= each.last), 0)


@dataclass(eq=False)
class _Open:
    """A bracket whose partner has not come yet, and what it holds so far."""

    bracket: str
    parts: list[_Nodes] = field(default_factory=lambda: [[]])
    separators: list[str] = field(default_factory=list)

    def separate(self, separator: str) -> None:
        """The next part begins."""
        self.separators.append(separator)
        self.parts.append([])

    def as_text(self) -> _Nodes:
        """The bracket and what is in it as it stands there."""
        nodes: _Nodes = [self.bracket, *self.parts[0]]
        for separator, part in zip(self.separators, self.parts[1:], strict=True):
            nodes += [separator, *part]
        return nodes


class _Reader:
    """Reads a prompt in one pass. `nodes`: its tree; `ends`: where what it says changes."""

    def __init__(self, evaluations: int, before: int) -> None:
        self.nodes: _Nodes = []
        self.ends: set[int] = set()
        self._evaluations, self._before = evaluations, before
        self._open: list[_Open] = []

    def read(self, prompt: str) -> bool:
        """Whether the prompt is one of the grammar."""
        return all(map(self._take, _TOKEN.findall(prompt))) and self._give_up()

    def _take(self, token: str) -> bool:
        if token in _PARTNER:
            return self._close(token)
        if token in ("(", "["):
            self._open.append(_Open(token))
        elif token in (":", "|") and self._open:
            self._open[-1].separate(token)
        else:
            self._here().append(token)
            return token not in ("|", "\\")
        return True

    def _here(self) -> _Nodes:
        return self._open[-1].parts[-1] if self._open else self.nodes

    def _close(self, token: str) -> bool:
        node = self._group(self._open[-1], token) if self._open else None
        if node is None:
            known = self._give_up()
            self.nodes.append(token)
            return known
        self._open.pop()
        self._here().append(node)
        return True

    def _give_up(self) -> bool:
        """The brackets now open are text. Whether there is a bar that only they could explain."""
        explained = all("|" not in each.separators for each in self._open)
        for each in self._open:
            self.nodes += each.as_text()
        self._open.clear()
        return explained

    def _group(self, opened: _Open, token: str) -> _Node | None:
        """What a pair of brackets means, None where it means nothing."""
        if opened.bracket != _PARTNER[token]:
            return None
        kinds, count = set(opened.separators), len(opened.separators)
        if not kinds or (token == ")" and opened.separators == [":"]):
            return [*opened.as_text(), token]
        if token == "]" and kinds == {"|"}:
            self.ends.update(range(1, self._evaluations + 1))
            return _Turns(opened.parts)
        if token == "]" and kinds == {":"} and count <= 2:
            return self._edit(opened.parts)
        return None

    def _edit(self, parts: list[_Nodes]) -> _Edit | None:
        *texts, number = parts
        found = _number(number)
        if found is None:
            return None
        value = float(found[1])
        if "." in found[1]:
            value = (value - bool(self._before)) * self._evaluations
        else:
            value -= self._before
        when = int(max(0, min(value, self._evaluations)))
        if when:
            self.ends.add(when)
        return _Edit(texts[0] if len(texts) == 2 else [], texts[-1], when)


def _number(nodes: _Nodes) -> re.Match[str] | None:
    match nodes:
        case [str(text)]:
            return _NUMBER.fullmatch(text)
    return None


def _text_at(step: int, nodes: _Nodes) -> str:
    """The text of a tree at a step, counted from 1."""
    words: list[str] = []
    left = nodes[::-1]
    while left:
        node = left.pop()
        if isinstance(node, str):
            words.append(node)
        elif isinstance(node, _Edit):
            left += (node.before if step <= node.when else node.after)[::-1]
        elif isinstance(node, _Turns):
            left += node.options[(step - 1) % len(node.options)][::-1]
        else:
            left += node[::-1]
    return "".join(words)
