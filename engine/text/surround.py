"""Put a preset's tags around a prompt."""

import re

from sakuga.engine.text.composition import is_weight
from sakuga.engine.text.networks import network_tags
from sakuga.engine.text.segments import Rule

_BETWEEN = re.compile(r"[,\n]")
_WEIGHT = re.compile(r":\s*[-+]?[\d.]+$")
_OPEN, _CLOSE = re.compile(r"(?<!\\)[(\[]"), re.compile(r"(?<!\\)[)\]]")
_BRACKETS = "()[]{} \t"


def surround(prompt: str, prefix: str, suffix: str, rule: Rule) -> str:
    """The prompt with the tags of `prefix` before it and those of `suffix` behind it.

    Tags the prompt already holds, weighted or not and in whatever case, are not added again; so a
    prompt that has them all, such as one read out of a picture, stays as it is. A1111 takes a
    number behind the last colon, as in `1girl AND sky :0.5`, for a weight, and nowhere but at the
    end: there the tags go before it, and it stays one.
    """
    before = missing(prompt, prefix)
    behind = missing(", ".join((prompt, *before)), suffix)
    end = _weight_at(prompt) if behind and rule == "a1111" else len(prompt)
    middle = prompt[:end].rstrip(", \t\n") if behind else prompt
    return ", ".join([*before, *([middle] if middle.strip() else []), *behind]) + prompt[end:]


def missing(prompt: str, tags: str) -> list[str]:
    """Those of some tags that a prompt does not hold, with their brackets and weights."""
    held = _tags(prompt)
    return [piece for piece in _pieces(tags) if not _tags(piece) <= held]


def _weight_at(prompt: str) -> int:
    """Where the weight of the last prompt between ANDs begins, its length where there is none.

    The tags of networks are taken out before a prompt is read, wherever they stand.
    """
    spans = [tag.span() for tag in network_tags(prompt)]
    edges = [0, *(edge for span in spans for edge in span), len(prompt)]
    shown = list(zip(edges[::2], edges[1::2], strict=True))
    at = max(prompt.rfind(":", start, stop) for start, stop in shown)
    number = "".join(prompt[max(start, at + 1) : stop] for start, stop in shown if stop > at)
    return at if at >= 0 and is_weight(number) else len(prompt)


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
