"""What a user should know of a picture that is not quite what they asked for."""

import re
from collections.abc import Iterator

from sakuga.engine.runtime.settings import Settings
from sakuga.engine.runtime.slot import Slot
from sakuga.engine.sampling.samplers import SAMPLERS
from sakuga.engine.text.attention import odd_weight
from sakuga.engine.text.composition import read_composition
from sakuga.engine.text.networks import read_networks

_TEXT_IN_NEGATIVE = re.compile(r"<\w+:[^>]+>|\bAND\b")


def notes_of(slot: Slot) -> tuple[str, ...]:
    """Notes on a picture, as sentences; usually none."""
    settings = slot.settings
    notes = [*settings.notes, *_of_the_prompts(settings)]
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


def _of_the_prompts(settings: Settings) -> Iterator[str]:
    """What A1111's grammar makes of a prompt that its writer may not have meant."""
    if settings.compat.long_prompt != "a1111":
        return
    prompt, negative = settings.prompt, settings.negative_prompt or ""
    for text in (prompt, negative):
        if (weight := odd_weight(text)) and settings.emphasis != "None":
            yield f"{weight!r} in a prompt is no number, so it was read as words, not as a weight."
    parts = read_composition(read_networks(prompt)[0])
    if len(parts) == 1 and parts[0].weight != 1:
        yield (
            f"The prompt ends with a number behind a colon, which A1111 reads as its weight: "
            f"guidance counts {parts[0].weight:g} times."
        )
    if settings.guided and (found := _TEXT_IN_NEGATIVE.search(negative)):
        yield (
            f"{found[0][:80]!r} in the negative prompt was read as words: A1111 knows AND and "
            "networks in the prompt alone."
        )
