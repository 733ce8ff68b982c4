"""Presets as text for people: a table of all, or everything about one."""

from collections.abc import Iterable
from textwrap import fill

from sakuga.profiles.preset import Avoid, Preset, Slot, Tag
from sakuga.profiles.presets import is_shipped

_HEAD = ("name", "family", "size", "steps", "guidance", "sampler", "licence", "")
_KEY, _WIDTH = 17, 100


def preset_table(presets: Iterable[Preset]) -> str:
    """A line for each preset, under a heading; a user's own are marked."""
    rows = [_HEAD, *map(_row, presets)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def _row(preset: Preset) -> tuple[str, ...]:
    return (
        preset.name,
        preset.family,
        str(preset.size),
        str(preset.steps),
        f"{preset.guidance:g}",
        _sampler(preset),
        preset.licence.name,
        "" if is_shipped(preset) else "yours",
    )


def describe_preset(preset: Preset) -> str:
    """The preset key by key; `-` where the card says nothing. Empty lists are left out."""
    shown = [_line(key, words) for key, words in _keys(preset).items()]
    shown += _list("order", "", map(_slot, preset.order))
    for group in preset.tags:
        meaning = f"{group.meaning} One at a time." if group.exclusive else group.meaning
        shown += _list(f"tags: {group.group}", meaning, map(_tag, group.tags))
    shown += _list("avoid", "", map(_avoid, preset.avoid)) + _list("advice", "", preset.advice)
    return "\n".join(shown)


def _keys(preset: Preset) -> dict[str, str]:
    licence = preset.licence
    return {
        "name": preset.name,
        "file": preset.file,
        "title": preset.title,
        "source": preset.source,
        "licence": ", ".join(filter(None, (licence.name, licence.id, licence.url))),
        "licence.meaning": licence.meaning,
        "family": preset.family,
        "hashes": ", ".join(preset.hashes),
        "vae": preset.vae,
        "clip_skip": str(preset.clip_skip or ""),
        "size": str(preset.size),
        "sizes": ", ".join(map(str, preset.sizes)),
        "sides": _sides(preset),
        "pixels_range": _span(preset.pixels_range),
        "sampler": preset.sampler,
        "schedule": preset.schedule or "",
        "steps": str(preset.steps),
        "steps_range": _span(preset.steps_range),
        "guidance": f"{preset.guidance:g}",
        "guidance_range": _span(preset.guidance_range),
        "prefix": preset.prefix,
        "suffix": preset.suffix,
        "negative_prompt": preset.negative_prompt,
        "max_tokens": str(preset.max_tokens or ""),
        "example": preset.example,
    }


def _tag(tag: Tag) -> str:
    notes = [
        *([f"also {', '.join(tag.aliases)}"] if tag.aliases else []),
        *([f"formerly {', '.join(tag.retired)}"] if tag.retired else []),
        *([f"elsewhere {', '.join(tag.instead_of)}"] if tag.instead_of else []),
        *(["for negative prompts"] if tag.poor else []),
    ]
    words = f"{tag.tag}: {tag.meaning}" if tag.meaning else tag.tag
    return f"{words} ({'; '.join(notes)})" if notes else words


def _avoid(avoid: Avoid) -> str:
    tags = f" ({', '.join(avoid.tags)})" if avoid.tags else ""
    return f"{avoid.what} ({avoid.where}): {avoid.reason}{tags}"


def _slot(slot: Slot) -> str:
    return f"{slot.slot}: {slot.example}" if slot.example else slot.slot


def _sampler(preset: Preset) -> str:
    return f"{preset.sampler} {preset.schedule}" if preset.schedule else preset.sampler


def _sides(preset: Preset) -> str:
    rule = preset.sides
    return f"{rule.minimum} to {rule.maximum}, multiples of {rule.step}" if rule else ""


def _span(span: tuple[float, float] | None) -> str:
    return f"{span[0]:.10g} to {span[1]:.10g}" if span else ""


def _list(key: str, meaning: str, items: Iterable[str]) -> list[str]:
    """A heading and a line for each item, itself wrapped; nothing where there are none."""
    lines = [fill(item, _WIDTH, initial_indent="  ", subsequent_indent=" " * 6) for item in items]
    heading = _line(key, meaning) if meaning else key
    return [heading, *lines] if lines else []


def _line(key: str, words: str) -> str:
    head, indent = f"{key:{_KEY}}", " " * _KEY
    return fill(words or "-", _WIDTH, initial_indent=head, subsequent_indent=indent,
                break_long_words=False, break_on_hyphens=False)  # fmt: skip
