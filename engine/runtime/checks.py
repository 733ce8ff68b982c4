"""What a request says in numbers and words, checked."""

import math
import os

from sakuga.engine.errors import UsageError
from sakuga.engine.text.segments import Emphasis, emphasis_name


def checked_emphasis(asked: str | None, pad_conds: bool, tool: str) -> Emphasis:
    """The emphasis asked for; and whether A1111's settings are A1111's to follow."""
    if tool != "a1111" and (asked is not None or pad_conds):
        raise UsageError(
            f"{'pad_conds' if asked is None else 'emphasis'} means nothing in compat {tool}.",
            note="It is a setting of A1111.",
            hint="Leave it out, or use compat a1111.",
        )
    return "Original" if asked is None else emphasis_name(asked)


def checked_interval(interval: tuple[float, float] | None) -> tuple[float, float] | None:
    """Two numbers from 0 to 1, None for all of the way. Raises UsageError."""
    if interval in (None, (0.0, 1.0)):
        return None
    start, end = interval
    if not 0 <= start < end <= 1:
        raise UsageError(
            f"Guidance cannot be limited to the steps from {start} to {end}.",
            note="0 is the first step, 1 behind the last.",
            hint="Give two numbers from 0 to 1 with the smaller first, such as 0.2 and 0.8.",
        )
    return float(start), float(end)


def checked_guidance(guidance: float) -> float:
    """Any number from 0. Raises UsageError."""
    if not (math.isfinite(guidance) and guidance >= 0):
        raise UsageError(
            f"Guidance cannot be {guidance}.",
            hint="Give a number from 0 up; 5 to 7 are usual, 1 turns guidance off.",
        )
    return float(guidance)


def check_threads(threads: int | None) -> None:
    """Of networks on the processor. Raises UsageError for more than it has cores."""
    cores = os.cpu_count() or 1
    if threads is not None and not 1 <= threads <= cores:
        raise UsageError(
            f"A network cannot run on {threads} threads here.",
            note=f"This machine has {cores} cores; more threads than cores only wait.",
            hint="Leave it out to use all cores.",
        )
