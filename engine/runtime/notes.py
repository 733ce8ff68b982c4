"""What a user should know of a picture that is not quite what they asked for."""

from collections.abc import Iterator

from sakuga.engine.lint.finding import most_important
from sakuga.engine.lint.linter import Linter, Question
from sakuga.engine.lint.reading import Manner
from sakuga.engine.runtime.settings import Settings
from sakuga.engine.runtime.slot import Slot, edited_steps
from sakuga.engine.sampling.samplers import SAMPLERS


def notes_of(slot: Slot, linter: Linter) -> tuple[str, ...]:
    """Notes on a picture, as sentences; usually none. `linter`: looks at its prompts."""
    settings = slot.settings
    notes = [*settings.notes, *_of_the_prompts(settings, linter)]
    if cut := sum(source.conditioning.tokens_cut for source in slot.rows[0]):
        notes.append(
            f"{cut} tokens beyond the first 75 were not read, as in diffusers. "
            "Compat a1111 and comfy read them all."
        )
    sampler = SAMPLERS[settings.sampler]
    if sampler.tree and settings.table.draw.any() and settings.compat.name != "diffusers":
        notes.append(
            f"{sampler.label} drew its noise from the seed, not from a Brownian tree as in "
            f"{settings.compat.name}, so the picture differs from {settings.compat.name}'s."
        )
    return tuple(notes)


def _of_the_prompts(settings: Settings, linter: Linter) -> Iterator[str]:
    """One line on what is wrong with the prompts, if anything is."""
    manner = Manner(settings.compat.long_prompt, settings.emphasis, edited_steps(settings))
    negative = settings.negative_prompt or "" if settings.guided else ""
    # The card's own negative prompt is what it is: only what the prompt shares with it is told.
    own = linter.preset.negative_prompt if linter.preset else ""
    against = None if negative and negative == own else negative
    question = Question(settings.prompt, against, manner, prefix="none")
    found = linter.lint(question).findings
    if manner.rule == "diffusers":  # what it cuts, the encoder tells by its own count
        found = tuple(each for each in found if each.code != "length")
    if first := most_important(found):
        more = f" ({len(found) - 1} more: sakuga lint-prompt)" if len(found) > 1 else ""
        yield f"{first.where.capitalize()}: {first.sentence}{more}"
