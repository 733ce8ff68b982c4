"""Which sampler and which schedule a tool takes for the names asked for."""

from typing import NamedTuple

from sakuga.engine.errors import UsageError
from sakuga.engine.sampling.compat import Compat
from sakuga.engine.sampling.samplers import SAMPLERS, Sampler, find_sampler
from sakuga.engine.sampling.schedules import AUTOMATIC, SCHEDULES, schedule_name
from sakuga.engine.sampling.spacings import SPACINGS, ddim_levels

OWN = "own"  # in place of a schedule: A1111's own timesteps for a sampler


class Choice(NamedTuple):
    """A sampler (a key of SAMPLERS) and a schedule (one of SCHEDULES, or OWN).

    `spacing`: how diffusers spaces its timesteps. `label`: the schedule's name in pictures.
    """

    sampler: str
    schedule: str
    spacing: str
    label: str


def choose(
    compat: Compat, sampler: str, schedule: str | None = None, spacing: str = "leading"
) -> Choice:
    """What a tool takes for these names, in any spelling; a sampler's may carry the schedule.

    `schedule` None or "Automatic" is the tool's own; `spacing` is what the checkpoint asks
    diffusers for. Raises UsageError for names that are unknown or contradict each other, and for
    a schedule that the tool's sampler does not follow.
    """
    name, carried = find_sampler(sampler)
    asked = schedule_name(schedule) if schedule is not None else None
    if asked and carried and asked != carried:
        raise UsageError(
            f"The sampler {sampler!r} and the schedule {schedule!r} contradict each other.",
            hint=f"Use {SAMPLERS[name].label!r} with either schedule.",
        )
    asked = asked or carried
    _check_followed(compat, SAMPLERS[name], asked)
    if asked in SPACINGS:
        spacing = asked
    usual, label = _usual(compat, SAMPLERS[name], spacing)
    if asked is None:
        return Choice(name, usual, spacing, label)
    return Choice(name, asked, spacing, SCHEDULES[asked].label)


def _usual(compat: Compat, sampler: Sampler, spacing: str) -> tuple[str, str]:
    """The tool's schedule where none is asked for, and its label."""
    if compat.schedule == "spacing":
        return spacing, SCHEDULES[spacing].label
    if compat.schedule == "normal":
        return "normal", SCHEDULES["normal"].label
    if sampler.own is not None:
        return OWN, AUTOMATIC
    # A1111 writes the name of any other schedule than this one.
    automatic = sampler.automatic
    return automatic, AUTOMATIC if automatic == "normal" else SCHEDULES[automatic].label


def _check_followed(compat: Compat, sampler: Sampler, asked: str | None) -> None:
    if compat.schedule == "automatic":
        follows = sampler.own is None
    else:
        ddim = compat.schedule == "spacing" and sampler.diffusers is ddim_levels
        follows = not ddim or asked in SPACINGS
    if asked is None or follows:
        return
    raise UsageError(
        f"{sampler.label} does not follow the schedule {SCHEDULES[asked].label!r}.",
        note=f"In {compat.name} it has timesteps of its own.",
        hint="Leave the schedule out, or choose another sampler.",
    )
