"""Put a preset's tags around a prompt."""

import re

_BETWEEN = re.compile(r"[,\n]")
_WEIGHT = re.compile(r":\s*[\d.]+$")
_BRACKETS = "()[]{} \t"


def surround(prompt: str, prefix: str, suffix: str) -> str:
    """The prompt with the tags of `prefix` before it and those of `suffix` behind it.

    Tags the prompt already holds, weighted or not and in whatever case, are not added again; so a
    prompt that has them all, such as one read out of a picture, stays as it is.
    """
    held = {_bare(tag) for tag in _BETWEEN.split(prompt)}
    before = [tag for tag in _tags(prefix) if _bare(tag) not in held]
    held |= {_bare(tag) for tag in before}
    behind = [tag for tag in _tags(suffix) if _bare(tag) not in held]
    middle = prompt.rstrip(", \t\n") if behind else prompt
    return ", ".join([*before, *([middle] if middle.strip() else []), *behind])


def _tags(text: str) -> list[str]:
    return [tag.strip() for tag in text.split(",") if tag.strip()]


def _bare(tag: str) -> str:
    """A tag without brackets, weight, case and the difference between blank and underscore."""
    words = _WEIGHT.sub("", tag.strip(_BRACKETS)).strip(_BRACKETS)
    return " ".join(words.replace("_", " ").casefold().split())
