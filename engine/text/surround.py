"""Put a preset's tags around a prompt."""

import re

_BETWEEN = re.compile(r"[,\n]")
_WEIGHT = re.compile(r":\s*[\d.]+$")
_OPEN, _CLOSE = re.compile(r"(?<!\\)[(\[]"), re.compile(r"(?<!\\)[)\]]")
_BRACKETS = "()[]{} \t"


def surround(prompt: str, prefix: str, suffix: str) -> str:
    """The prompt with the tags of `prefix` before it and those of `suffix` behind it.

    Tags the prompt already holds, weighted or not and in whatever case, are not added again; so a
    prompt that has them all, such as one read out of a picture, stays as it is.
    """
    held = _tags(prompt)
    before = [piece for piece in _pieces(prefix) if not _tags(piece) <= held]
    held = held.union(*map(_tags, before))
    behind = [piece for piece in _pieces(suffix) if not _tags(piece) <= held]
    middle = prompt.rstrip(", \t\n") if behind else prompt
    return ", ".join([*before, *([middle] if middle.strip() else []), *behind])


def _pieces(text: str) -> list[str]:
    """The tags of a text; those inside one pair of brackets stay together."""
    pieces: list[str] = []
    for tag in text.split(","):
        if pieces and len(_OPEN.findall(pieces[-1])) > len(_CLOSE.findall(pieces[-1])):
            pieces[-1] += f",{tag}"
        else:
            pieces.append(tag)
    return [piece.strip() for piece in pieces if _tags(piece)]


def _tags(text: str) -> set[str]:
    """Its tags without brackets, weight, case and the difference between blank and underscore."""
    bare = (_WEIGHT.sub("", tag.strip(_BRACKETS)).strip(_BRACKETS) for tag in _BETWEEN.split(text))
    words = (" ".join(tag.replace("_", " ").casefold().split()) for tag in bare)
    return {word for word in words if word}
