"""How A1111 and ComfyUI read prompts, written once more from what they publish, for tests alone.

By other means than the package's: character by character, by recursion, with the published regular
expressions and with a parser made from the published grammar.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby
from typing import TypeVar

import lark

Token = TypeVar("Token")
Pieces = list[tuple[str, float]]
Schedule = list[tuple[int, str]]

BREAK = ("BREAK", -1.0)

# The published grammar of editing; the choice of its start is written flat, and readings that edit
# come first. As published, what unpaired brackets become depends on the parser's version and
# process.
_GRAMMAR = r"""
!start: (emphasized | scheduled | alternate | plain | WHITESPACE | /[][():]/)*
prompt: (emphasized | scheduled | alternate | plain | WHITESPACE)*
!emphasized: "(" prompt ")" | "(" prompt ":" prompt ")" | "[" prompt "]"
scheduled.1: "[" [prompt ":"] prompt ":" [WHITESPACE] NUMBER [WHITESPACE] "]"
alternate.1: "[" prompt ("|" [prompt])+ "]"
WHITESPACE: /\s+/
plain: /([^\\\[\]():|]|\\.)+/
%import common.SIGNED_NUMBER -> NUMBER
"""
_PARSER = lark.Lark(_GRAMMAR)


def edits(text: str, steps: int) -> Schedule:
    """What a prompt says up to each step, by the published grammar."""
    try:
        tree = _PARSER.parse(text)
    except lark.exceptions.LarkError:
        return [(steps, text)]
    ends = {steps}
    for node in tree.iter_subtrees():
        if node.data == "scheduled" and (when := _when(node, steps)) >= 1:
            ends.add(when)
        elif node.data == "alternate":
            ends |= set(range(1, steps + 1))
    return [(end, _said(tree, end, steps)) for end in sorted(ends)]


def _when(node: lark.Tree[lark.Token], steps: int) -> int:
    number = str(node.children[-2])
    return min(steps, int(float(number) * (steps if "." in number else 1)))


def _said(node: lark.Tree[lark.Token] | lark.Token | None, step: int, steps: int) -> str:
    if node is None:
        return ""
    if isinstance(node, lark.Token):
        return str(node)
    if node.data == "scheduled":
        return _said(node.children[step > _when(node, steps)], step, steps)
    if node.data == "alternate":
        return _said(node.children[(step - 1) % len(node.children)], step, steps)
    return "".join(_said(child, step, steps) for child in node.children)


def weights_by_character(text: str) -> Pieces:
    """A1111's weights: every character has one, and a bracket that closes multiplies.

    BREAK in a run of plain characters is one of them, and what lies before it, between two and
    behind it is text of its own, also where it is empty.
    """
    found: Pieces = []
    opened: dict[str, list[int]] = {"(": [], "[": []}

    def close(bracket: str, factor: float) -> None:
        start = opened[bracket].pop()
        found[start:] = [(letter, weight * factor) for letter, weight in found[start:]]

    at = 0
    while at < len(text):
        letter = text[at]
        stop = text.find(")", at)
        number = text[at + 1 : stop].strip() if letter == ":" and stop > 0 else ""
        plain = re.match(r"[^\\()\[\]:]+", text[at:])
        if plain:
            for index, part in enumerate(re.split(r"\s*\bBREAK\b\s*", plain[0])):
                found += [BREAK] if index else []
                found += [("", 1.0), *((each, 1.0) for each in part)]
            at += len(plain[0]) - 1
        elif letter == "\\":
            escaped = text[at + 1 : at + 2] in ("(", ")", "[", "]", "\\")
            found.append((text[at + 1] if escaped else "", 1.0))
            at += escaped
        elif letter in opened:
            opened[letter].append(len(found))
        elif re.fullmatch(r"[+-]?[.\d]+", number) and opened["("] and _odd(number):
            found += [(each, 1.0) for each in text[at:stop]]
            close("(", 1.1)
            at = stop
        elif re.fullmatch(r"[+-]?[.\d]+", number) and opened["("]:
            close("(", float(number))
            at = stop
        elif letter == ")" and opened["("]:
            close("(", 1.1)
        elif letter == "]" and opened["["]:
            close("[", 1 / 1.1)
        else:
            found.append((letter, 1.0))
        at += 1
    for bracket, factor in (("(", 1.1), ("[", 1 / 1.1)):
        for start in opened[bracket]:
            found[start:] = [(letter, weight * factor) for letter, weight in found[start:]]
    return found


def _odd(number: str) -> bool:
    """`1.2.3`, at which A1111 fails; here it is text."""
    with suppress(ValueError):
        float(number)
        return False
    return True


def pieces(text: str) -> Pieces:
    """A1111's pieces: neighbours of one weight together."""
    groups = groupby(weights_by_character(text), key=lambda one: one[1])
    found = [("".join(text for text, _ in group), weight) for weight, group in groups]
    return found or [("", 1.0)]


_NETWORK = re.compile(r"<(\w+):([^>]+)>")


def without_networks(text: str) -> str:
    """A prompt without the tags of extra networks."""
    return _NETWORK.sub("", text)


def networks(text: str) -> list[str]:
    """The kinds of its extra networks."""
    return [kind for kind, _ in _NETWORK.findall(text)]


def strands(text: str) -> Pieces:
    """The prompts between ANDs, each with its weight."""
    found = []
    for part in re.split(r"\bAND\b", text):
        match = re.match(r"^((?:\s|.)*?)(?:\s*:\s*([-+]?(?:\d+\.?|\d*\.\d+)))?\s*$", part)
        assert match is not None
        found.append((match[1], float(match[2]) if match[2] else 1.0))
    return found


def comfy_pieces(text: str) -> Pieces:
    """ComfyUI's pieces, by recursion."""
    hidden = text.replace("\\)", "\1").replace("\\(", "\2")
    found = _comfy(hidden, 1.0)
    return [(item.replace("\1", ")").replace("\2", "("), weight) for item, weight in found]


def _top_level(text: str) -> list[str]:
    """The text cut before and behind every outermost pair of brackets."""
    items, now, level = [], "", 0
    for letter in text:
        if letter == "(" and level == 0:
            items, now = [*items, now], ""
        now += letter
        level += {"(": 1, ")": -1}.get(letter, 0)
        if letter == ")" and level == 0:
            items, now = [*items, now], ""
    return [item for item in [*items, now] if item]


def _comfy(text: str, weight: float) -> Pieces:
    found: Pieces = []
    for item in _top_level(text):
        if item[0] != "(" or item[-1] != ")" or len(item) < 2:
            found.append((item, weight))
            continue
        inner, own = item[1:-1], weight * 1.1
        head, colon, number = inner.rpartition(":")
        if colon and head:
            with suppress(ValueError):
                inner, own = (head, float(number))
        found += _comfy(inner, own)
    return found


def a1111_chunks(tokens: Sequence[Token], commas: Sequence[bool]) -> list[list[Token]]:
    """A1111's chunks of up to 75, as a state machine: a growing chunk and the place of its last
    comma."""
    done: list[list[Token]] = []
    now: list[Token] = []
    last_comma = -1
    for token, comma in zip(tokens, commas, strict=True):
        moved: list[Token] = []
        if comma:
            last_comma = len(now)
        elif len(now) == 75 and last_comma != -1 and 75 - last_comma <= 20:
            now, moved = now[: last_comma + 1], now[last_comma + 1 :]
            done.append(now)
            now, last_comma = moved, -1
        if len(now) == 75:
            done.append(now)
            now, last_comma = [], -1
        now.append(token)
    return [*done, now] if now or not done else done


def comfy_chunks(words: Sequence[Sequence[Token]]) -> list[list[Token]]:
    """ComfyUI's chunks of up to 75: fewer than 8 tokens that count alike move on together."""
    done: list[list[Token]] = [[]]
    for word in words:
        for at, token in enumerate(word):
            rest = len(word) - at if len(word) < 8 and at == 0 else 1
            if len(done[-1]) + rest > 75:
                done.append([])
            done[-1].append(token)
    return done
