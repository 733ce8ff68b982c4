"""What a model's card says of tags, by the names of the tags."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from sakuga.engine.lint.names import names_in, tag_name
from sakuga.engine.lint.order import Order, order_of
from sakuga.profiles.preset import Avoid, Preset, TagGroup
from sakuga.profiles.presets import all_presets
from sakuga.profiles.tags import tag_table


@dataclass(frozen=True)
class Foreign:
    """A special tag of another model: whose it is, and of which kind."""

    title: str
    group: str


@dataclass(frozen=True)
class Card:
    """A card; keys are names of tags.

    `retired`, `instead`: what it writes for tags of earlier versions and of other models.
    `foreign`: special tags of other models that it does not know. `avoided`: what should not stand
    in a prompt or negative prompt; `unwanted`: the same by kinds of other models' tags; `longest`:
    by the number of words. `grades`: the kind of a tag, and whether it names a fault. `exclusive`:
    tags of which a picture has one, by kind. `own_negative`: what its negative prompt says.
    """

    title: str = ""
    retired: Mapping[str, str] = field(default_factory=dict)
    instead: Mapping[str, str] = field(default_factory=dict)
    foreign: Mapping[str, Foreign] = field(default_factory=dict)
    avoided: Mapping[str, Mapping[str, Avoid]] = field(default_factory=dict)
    unwanted: Mapping[str, Avoid] = field(default_factory=dict)
    longest: Avoid | None = None
    grades: Mapping[str, tuple[str, bool]] = field(default_factory=dict)
    exclusive: Mapping[str, tuple[frozenset[str], ...]] = field(default_factory=dict)
    own_negative: frozenset[str] = frozenset()
    order: Order = field(default_factory=Order)


NO_CARD = Card()


@lru_cache(maxsize=64)
def card_of(preset: Preset) -> Card:
    """The card of a preset, beside those of the shipped ones."""
    tags = [tag for group in preset.tags for tag in group.tags]
    foreign = {name: each for name, each in _special(preset).items() if name not in _known(preset)}
    return Card(
        title=preset.title,
        retired={tag_name(old): tag.tag for tag in tags for old in tag.retired},
        instead={tag_name(other): tag.tag for tag in tags for other in tag.instead_of},
        foreign=foreign if tags else {},
        avoided={
            where: dict(_avoided(preset, {where, "embeddings"}))
            for where in ("prompt", "negative prompt")
        },
        unwanted={
            group: each for each in preset.avoid if each.where == "prompt" for group in each.groups
        },
        longest=next((each for each in preset.avoid if each.words), None),
        grades={
            name: (group.group, tag.poor)
            for group in preset.tags
            if any(tag.poor for tag in group.tags)
            for tag in group.tags
            for name in names_in(tag.tag)
        },
        exclusive={
            group.group: tuple(frozenset(names_in(tag.tag)) for tag in group.tags)
            for group in preset.tags
            if group.exclusive
        },
        own_negative=frozenset(names_in(preset.negative_prompt)),
        order=order_of(preset, foreign),
    )


def _known(preset: Preset) -> frozenset[str]:
    """Names a card uses, wherever: its own words cannot be foreign to it."""
    texts = [preset.prefix, preset.suffix, preset.negative_prompt, preset.example]
    texts += [slot.example for slot in preset.order]
    names = {name for text in texts for name in names_in(text)}
    retired = (tag_name(old) for group in preset.tags for tag in group.tags for old in tag.retired)
    return frozenset(names).union(retired, *map(_names_of, preset.tags))


def _special(preset: Preset) -> dict[str, Foreign]:
    """The special tags of all models but this one, those left out that are nobody's own."""
    found: dict[str, Foreign] = {}
    others = [other for other in all_presets().values() if other.name != preset.name]
    groups = [(other.title, group) for other in others for group in other.tags]
    for title, group in groups:
        for name in _names_of(group):
            found.setdefault(name, Foreign(title, group.group))
    for title, group in groups:
        for old in (old for tag in group.tags for old in tag.retired):
            found.setdefault(tag_name(old), Foreign(f"models before {title}", group.group))
    for other in tag_table().others:
        found |= {tag_name(tag): Foreign(other.title, other.group) for tag in other.tags}
    return {name: each for name, each in found.items() if name not in tag_table().common}


def _names_of(group: TagGroup) -> Iterator[str]:
    for tag in group.tags:
        yield from names_in(", ".join((tag.tag, *tag.aliases)))


def _avoided(preset: Preset, where: set[str]) -> Iterator[tuple[str, Avoid]]:
    for each in preset.avoid:
        if each.where in where:
            by_name = not (each.groups or each.words)
            for tag in each.tags or ((each.what,) if by_name else ()):
                yield tag_name(tag), each
