"""What a user should know of a picture that is not quite what they asked for."""

from sakuga.engine.runtime.request import Settings
from sakuga.engine.runtime.slot import Slot
from sakuga.engine.sampling.samplers import SAMPLERS
from sakuga.engine.text.syntax import unread_syntax


def notes_of(slot: Slot) -> tuple[str, ...]:
    """Notes on a picture, as sentences; usually none."""
    settings = slot.settings
    notes = list(settings.notes)
    if cut := sum(source.conditioning.tokens_cut for source in slot.sources):
        notes.append(
            f"{cut} tokens beyond the first 75 were not read, as in diffusers. "
            "Compat a1111 and comfy read them all."
        )
    if piece := _unread(settings):
        notes.append(
            f"{piece!r} was read as plain text: this version has no weights, networks or other "
            f"prompt syntax yet, so the picture differs from {settings.compat.name}'s."
        )
    sampler = SAMPLERS[settings.sampler]
    if sampler.tree and settings.table.draw.any() and settings.compat.name != "diffusers":
        notes.append(
            f"{sampler.label} drew its noise from the seed, not from a Brownian tree as in "
            f"{settings.compat.name}, so the picture differs from {settings.compat.name}'s."
        )
    return tuple(notes)


def _unread(settings: Settings) -> str | None:
    prompts = [settings.prompt, settings.negative_prompt or ""]
    if not settings.guided:
        prompts.pop()
    pieces = [unread_syntax(prompt, settings.compat.long_prompt) for prompt in prompts]
    return next((piece for piece in pieces if piece), None)
