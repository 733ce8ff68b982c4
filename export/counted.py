"""Counts in messages."""


def counted(number: int, noun: str) -> str:
    """A number and its noun: `1 tensor`, `2 tensors`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
