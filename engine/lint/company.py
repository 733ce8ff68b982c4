"""Tags that do not go together, and tags that stand twice."""

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import combinations

from sakuga.engine.lint.card import Card
from sakuga.engine.lint.finding import Finding, Span, Where, shown
from sakuga.engine.lint.reading import Mention, Reading, Section
from sakuga.engine.lint.special import left_out
from sakuga.engine.lint.spots import extent
from sakuga.profiles.tags import Clash, tag_table

_Pair = tuple[Mention, Mention, str]  # two tags, and what is wrong with them


def repeats(reading: Reading, where: Where) -> Iterator[Finding]:
    """Tags that stand more than once between the same BREAKs, each once with all its places."""
    read = Counter(mention.span for mention in reading.mentions)
    again: Counter[Span] = Counter()
    found: dict[str, dict[Span, Mention]] = {}
    for section in reading.sections:
        seen = set[str]()
        for mention in section:
            if mention.name in seen:
                again[mention.span] += 1
                found.setdefault(mention.name, {}).setdefault(mention.span, mention)
            seen.add(mention.name)
    for places in found.values():
        first, *others = places.values()
        start, stop = extent(reading.prompt, first.span)
        times = f"{len(others) + 1} times more" if others else "twice"
        sentence = f"{shown(reading.prompt[start:stop])} stands there {times}."
        # What comes and goes is no repetition at every step.
        always = [each for each in places.values() if again[each.span] == read[each.span]]
        mend = left_out(reading, always)
        yield Finding("repeat", where, start, stop, sentence, "" if mend else None, mend)


def conflicts(reading: Reading, card: Card) -> Iterator[Finding]:
    """Tags of a prompt that contradict each other where both are read at once."""
    told = set[tuple[str, str]]()
    for section in reading.sections:
        first: dict[str, Mention] = {}
        for mention in section:
            first.setdefault(mention.name, mention)
        for one, other, what in (
            *_two_of_a_kind(first, card),
            *_good_and_poor(first, card),
            *_clashes(first, section),
        ):
            early, late = sorted((one, other), key=lambda mention: mention.start)
            if (early.name, late.name) not in told:
                told.add((early.name, late.name))
                pair = f"{shown(reading.text(early))} and {shown(reading.text(late))}"
                yield Finding(
                    "conflict", "prompt", *extent(reading.prompt, late.span), f"{pair} {what}."
                )


def on_both_sides(reading: Reading, negative: frozenset[str], whose: str) -> Iterator[Finding]:
    """Tags of a prompt that its negative prompt, `whose` it is, holds too."""
    first: dict[str, Mention] = {}
    for mention in reading.mentions:
        if mention.name in negative:
            first.setdefault(mention.name, mention)
    for mention in first.values():
        start, stop = extent(reading.prompt, mention.span)
        sentence = f"{shown(reading.prompt[start:stop])} stands in {whose} too."
        yield Finding("conflict", "prompt", start, stop, sentence)


def _two_of_a_kind(first: Mapping[str, Mention], card: Card) -> Iterator[_Pair]:
    """Two tags of an exclusive group; one that is part of another does not count beside it."""
    for group, tags in card.exclusive.items():
        here = [names for names in dict.fromkeys(tags) if names and names <= first.keys()]
        here = [names for names in here if not any(names < other for other in here)]
        for one, other in combinations(here, 2):
            apart = min(one - other), min(other - one)
            yield (
                first[apart[0]],
                first[apart[1]],
                f"are both {group} tags, of which a picture has one",
            )


def _good_and_poor(first: Mapping[str, Mention], card: Card) -> Iterator[_Pair]:
    graded = {name: card.grades[name] for name in first.keys() & card.grades.keys()}
    for poor in sorted(name for name, (_, is_poor) in graded.items() if is_poor):
        for good in sorted(name for name, (_, is_poor) in graded.items() if not is_poor):
            if graded[good][0] == graded[poor][0]:
                yield first[good], first[poor], f"are opposite ends of {graded[good][0]}"
                break


def _clashes(first: Mapping[str, Mention], section: Section) -> Iterator[_Pair]:
    people = sum(tag_table().people.get(mention.name, 0) for mention in section)
    sides: dict[Clash, dict[int, Mention]] = {}
    for name, mention in first.items():
        for clash, side in _sides().get(name, ()):
            sides.setdefault(clash, {}).setdefault(side, mention)
    for clash, here in sides.items():
        if not (clash.alone and people > 1):
            for one, other in combinations(here.values(), 2):
                yield one, other, "contradict each other"


@cache
def _sides() -> dict[str, list[tuple[Clash, int]]]:
    """For every tag of the table where it stands."""
    found: dict[str, list[tuple[Clash, int]]] = {}
    for clash in tag_table().clashes:
        for side, names in enumerate(clash.sides):
            for name in names:
                found.setdefault(name, []).append((clash, side))
    return found
