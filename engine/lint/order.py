"""Which tags a card wants before which others, as far as it is known what a tag is."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from sakuga.engine.lint.names import names_in, tag_name
from sakuga.engine.lint.reading import Section
from sakuga.profiles.preset import Preset
from sakuga.profiles.tags import tag_table

COUNT, CHARACTER, REST = "character count", "character", "everything else"

_LONGEST = 256  # characters of a tag that patterns are tried on
_CALLED = re.compile(r"[^()]+ (?:\([^()]+\) )*\(([^()]+)\)")  # a name and where it is from


@dataclass(frozen=True)
class Order:
    """A card's order. `slots`: its places; a rank is a number of one.

    `rest`: the rank of all tags nobody knows; the places between the first and the last that may
    hold such tags are one. `tags`, `patterns`: what stands in the others; `several_last`: those
    whose tags go behind everything where there are several. `anywhere`: tags without a place.
    """

    slots: tuple[str, ...] = ()
    rest: int | None = None
    count: int | None = None
    character: int | None = None
    tags: Mapping[str, int] = field(default_factory=dict)
    patterns: tuple[tuple[str, int], ...] = ()
    several_last: frozenset[int] = frozenset()
    anywhere: frozenset[str] = frozenset()

    def rank(self, name: str) -> int | None:
        """The place of a tag; None where it may stand anywhere."""
        if name in self.tags:
            return self.tags[name]
        if name in tag_table().people:
            return self.rest if self.count is None else self.count
        if len(name) <= _LONGEST:
            for pattern, rank in self.patterns:
                if fnmatchcase(name, pattern):
                    return rank
            if self.character is not None and is_character(name):
                return self.character
        return None if name in self.anywhere else self.rest

    def ranks(self, section: Section) -> list[int | None]:
        """The places of tags that are read together."""
        found = [self.rank(mention.name) for mention in section]
        for rank in self.several_last:
            if found.count(rank) > 1:
                found = [len(self.slots) + rank if each == rank else each for each in found]
        self._take_for_characters(section, found)
        return found

    def label(self, rank: int) -> str:
        """What stands at a place, in the card's words."""
        if rank == self.rest:
            return REST if REST in self.slots else "the rest"
        behind = rank - len(self.slots)
        return self.slots[rank] if behind < 0 else f"several of {self.slots[behind]}"

    def _take_for_characters(self, section: Section, ranks: list[int | None]) -> None:
        """Where characters stand before their count, unknown tags before it may be their names: as
        many as there are people."""
        if self.character is None or self.count is None or self.character > self.count:
            return
        if self.count not in ranks:
            return
        people = tag_table().people
        left = sum(people.get(mention.name, 0) for mention in section)
        left -= ranks.count(self.character)
        first = ranks.index(self.count)
        unknown = [at for at in range(first) if ranks[at] == self.rest]
        if len(unknown) <= left:
            for at in unknown:
                ranks[at] = self.character


def order_of(preset: Preset, others: Iterable[str]) -> Order:
    """The order of a preset's card. `others`: special tags of other models, which have no place."""
    slots = tuple(slot.slot for slot in preset.order)
    groups = {group.group: group for group in preset.tags}
    known = {COUNT, CHARACTER, *groups}
    free = [at for at, slot in enumerate(preset.order) if slot.slot not in known and not slot.like]
    inside = range(free[0], free[-1] + 1) if free else range(0)
    placed = {slot: at for at, slot in enumerate(slots) if at not in inside}
    return Order(
        slots=slots,
        rest=free[0] if free else None,
        count=placed.get(COUNT),
        character=placed.get(CHARACTER),
        tags={
            name: placed[group.group]
            for group in preset.tags
            if group.group in placed
            for tag in group.tags
            for name in names_in(", ".join((tag.tag, *tag.aliases)))
        },
        patterns=tuple(
            (tag_name(pattern), placed[slot.slot])
            for slot in preset.order
            if slot.slot in placed
            for pattern in slot.like
        ),
        several_last=frozenset(
            placed[slot.slot] for slot in preset.order if slot.several_last and slot.slot in placed
        ),
        anywhere=frozenset(others).union(
            names_in(preset.prefix),
            names_in(preset.suffix),
            (name for group in preset.tags for tag in group.tags for name in names_in(tag.tag)),
        ),
    )


def is_character(name: str) -> bool:
    """Whether a tag is the name of a character with where it is from, `lucy (cyberpunk)`."""
    called = _CALLED.fullmatch(name)
    return called is not None and called[1] not in tag_table().qualifiers


def latecomer(ranks: Sequence[int | None]) -> tuple[int, int] | None:
    """The first tag that stands behind one of a later place, and that one: two indices."""
    before: tuple[int, int] | None = None  # place and index of the last one that has a place
    for at, rank in enumerate(ranks):
        if rank is not None:
            if before is not None and rank < before[0]:
                return at, before[1]
            before = rank, at
    return None


def sorting_key(ranks: Iterable[int | None], rest: int | None) -> list[int]:
    """Ranks to sort by: tags without a place stay in front, or go with the unknown ones."""
    first = -1  # until one with a place has come
    keys = []
    for rank in ranks:
        if rank is not None:
            first = rest if rest is not None else rank
        keys.append(first if rank is None else rank)
    return keys
