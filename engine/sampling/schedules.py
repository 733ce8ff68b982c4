"""Schedules by the names people know."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

from sakuga.engine.errors import UsageError
from sakuga.engine.sampling.levels import (
    Schedule,
    exponential,
    karras,
    normal,
    sgm_uniform,
    simple,
)
from sakuga.engine.sampling.noise_schedule import NoiseSchedule
from sakuga.engine.sampling.spacings import leading, linspace, trailing


@dataclass(frozen=True)
class NamedSchedule:
    """`label` is written into pictures: A1111's name, or diffusers' where A1111 has none."""

    label: str
    levels: Callable[[NoiseSchedule, int], Schedule]
    spellings: tuple[str, ...] = ()


AUTOMATIC = "Automatic"  # A1111's name for the sampler's own schedule
SCHEDULES: dict[str, NamedSchedule] = {
    "normal": NamedSchedule("Normal", normal, ("uniform",)),
    "karras": NamedSchedule("Karras", karras),
    "exponential": NamedSchedule("Exponential", exponential),
    "sgm_uniform": NamedSchedule("SGM Uniform", sgm_uniform),
    "simple": NamedSchedule("Simple", simple),
    "leading": NamedSchedule("Leading", leading),
    "trailing": NamedSchedule("Trailing", trailing),
    "linspace": NamedSchedule("Linspace", linspace),
}


def schedule_name(spelling: str) -> str | None:
    """The key of `SCHEDULES` a person means, None for "Automatic"; case and spaces do not matter.

    Raises UsageError that names the known schedules and the nearest one.
    """
    letters = letters_of(spelling)
    if letters == letters_of(AUTOMATIC):
        return None
    known = schedule_spellings()
    if letters in known:
        return known[letters]
    labels = ", ".join([AUTOMATIC, *(schedule.label for schedule in SCHEDULES.values())])
    near = get_close_matches(letters, known, n=1)
    raise UsageError(
        f"There is no schedule called {spelling!r}.",
        note=f"Known schedules: {labels}.",
        hint=f"Did you mean {SCHEDULES[known[near[0]]].label!r}?" if near else "",
    )


def schedule_spellings() -> dict[str, str]:
    """Key of `SCHEDULES` by the letters of every spelling."""
    return {
        letters_of(text): name
        for name, schedule in SCHEDULES.items()
        for text in (name, schedule.label, *schedule.spellings)
    }


def make_schedule(name: str, noise: NoiseSchedule, steps: int) -> Schedule:
    """The levels of the schedule called `name` (a key of SCHEDULES) in `steps` steps to 0."""
    return SCHEDULES[name].levels(noise, steps)


def letters_of(text: str) -> str:
    """What two spellings of one name have in common; "+" is a p, as in dpmpp."""
    return "".join(letter for letter in text.casefold().replace("+", "p") if letter.isalnum())
