"""What is known of tags whichever model reads them: people, words, other models, contradictions."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("tags.toml")


@dataclass(frozen=True)
class OtherTags:
    """Special tags of a model that no preset is for; `group` as in presets."""

    title: str
    group: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Clash:
    """Tags of different sides contradict each other; `alone`: where one person is asked for."""

    sides: tuple[tuple[str, ...], ...]
    alone: bool = False


@dataclass(frozen=True)
class TagTable:
    """The table. Tags are spelled as Danbooru shows them, with blanks.

    `people`: how many a tag asks for at least. `qualifiers`: what stands in brackets behind a name
    that is no character's. `common`: tags among the special ones of cards that are no card's own.
    """

    people: Mapping[str, int]
    qualifiers: frozenset[str]
    common: frozenset[str]
    others: tuple[OtherTags, ...]
    clashes: tuple[Clash, ...]


@cache
def tag_table() -> TagTable:
    """The table, read once."""
    raw = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return TagTable(
        people=raw["people"],
        qualifiers=frozenset(raw["words"]["qualifiers"]),
        common=frozenset(raw["words"]["common"]),
        others=tuple(
            OtherTags(each["title"], each["group"], tuple(each["tags"])) for each in raw["others"]
        ),
        clashes=tuple(
            Clash(tuple(map(tuple, each["sides"])), each.get("alone", False))
            for each in raw["clashes"]
        ),
    )
