"""What a tag is called, however it is spelled."""

import re

from sakuga.engine.text.attention import read_attention

_BLANKS = re.compile(r"[\s_]+")
_COLON = re.compile(r" ?: ?")
_ESCAPED = re.compile(r"\\([()\[\]])")
_WEIGHT = re.compile(r":\s*[+-]?[.\d]+\s*$")
_PARTNERS = {"(": ")", "[": "]", "{": "}"}
_LONGEST = 256  # characters; what is longer is no tag, and its brackets are left alone


def tag_name(text: str) -> str:
    """The name of a tag that stands without brackets: lower case, blanks for underscores, as
    Danbooru takes both for one; `rating:general` for every `rating: general`."""
    return _COLON.sub(":", _BLANKS.sub(" ", text.casefold())).strip()


def literal_name(text: str) -> str:
    """The name of a tag of which brackets and escapes were read as text.

    Brackets around it, or left over from others, and a weight are no part of it; those of
    `lucy (cyberpunk)` are.
    """
    bare = text.strip()
    while 0 < len(bare) <= _LONGEST and (shorter := _unwrapped(bare)) != bare:
        bare = shorter
    return tag_name(_ESCAPED.sub(r"\1", bare))


def names_in(text: str) -> tuple[str, ...]:
    """The names of tags that a card spells as in a prompt: weighted, escaped, commas between."""
    read = "".join(piece.text for piece in read_attention(text))
    return tuple(name for name in map(tag_name, read.split(",")) if name)


def _unwrapped(text: str) -> str:
    """Without one bracket at an end that holds nothing of the name, or one pair."""
    first, last = text[0], text[-1]
    if first in _PARTNERS and _match(text) in (None, len(text) - 1):
        return text[1:].lstrip()
    if last in _PARTNERS.values() and not text.endswith(f"\\{last}") and _alone(text):
        return _WEIGHT.sub("", text[:-1]).rstrip()
    return text


def _match(text: str) -> int | None:
    """Where the bracket that opens the text is closed."""
    depth = 0
    for at, letter in enumerate(text):
        depth += {text[0]: 1, _PARTNERS[text[0]]: -1}.get(letter, 0)
        if not depth:
            return at
    return None


def _alone(text: str) -> bool:
    """Whether the bracket that ends the text was opened nowhere in it."""
    (opening,) = (each for each, partner in _PARTNERS.items() if partner == text[-1])
    depth = 0
    for letter in text[:-1]:
        depth = max(0, depth + {opening: 1, text[-1]: -1}.get(letter, 0))
    return not depth
