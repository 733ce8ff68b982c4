"""Prompt syntax of other tools that this version takes for plain text."""

import re

from sakuga.engine.text.chunks import LongPrompt

_WEIGHTS = r"\\?[()]"
_A1111 = re.compile(rf"{_WEIGHTS}|\\?[\[\]]|<\w+:[^>]+>|\bBREAK\b|\bAND\b")
_COMFY = re.compile(rf"{_WEIGHTS}|\bembedding:")


def unread_syntax(prompt: str, rule: LongPrompt) -> str | None:
    """What the tool of that rule would not take literally: its first such piece, None if none.

    diffusers takes every prompt literally, so there is nothing to find.
    """
    pattern = {"a1111": _A1111, "comfy": _COMFY, "diffusers": None}[rule]
    found = pattern.search(prompt) if pattern else None
    return found.group() if found else None
