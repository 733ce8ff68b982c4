"""Special tags: retired ones, those of other models, and what a card advises against."""

from collections.abc import Iterable, Iterator, Sequence

from sakuga.engine.lint.card import Card
from sakuga.engine.lint.finding import Edit, Finding, Mend, Span, Where, shown
from sakuga.engine.lint.names import literal_name, names_in
from sakuga.engine.lint.reading import Mention, Reading
from sakuga.engine.lint.spots import extent, taken_out
from sakuga.profiles.preset import Avoid

_EMBEDDING = "embedding:"


def special_findings(reading: Reading, where: Where, card: Card) -> Iterator[Finding]:
    """What the card says of single tags; each tag once, at its first place."""
    avoided = card.avoided.get(where, {})
    longest = card.longest.words if card.longest and where == "prompt" else None
    for name, mentions in _by_name(reading).items():
        if against := avoided.get(name) or avoided.get(name.removeprefix(_EMBEDDING)):
            yield _against(reading, where, mentions, against, card)
        elif name in card.retired:
            yield _retired(reading, where, mentions, card)
        elif name in card.foreign or name in card.instead:
            yield _foreign(reading, where, mentions, card)
        elif card.longest and longest and len(name.split()) > longest:
            yield _against(reading, where, mentions, card.longest, card)


def _by_name(reading: Reading) -> dict[str, list[Mention]]:
    found: dict[str, list[Mention]] = {}
    for mention in dict.fromkeys(reading.mentions):
        found.setdefault(mention.name, []).append(mention)
    return found


def _retired(reading: Reading, where: Where, mentions: Sequence[Mention], card: Card) -> Finding:
    start, stop = extent(reading.prompt, mentions[0].span)
    new = card.retired[mentions[0].name]
    old = shown(reading.prompt[start:stop])
    sentence = f"{old} is {new!r} in the card of {card.title}."
    mend = _renamed(reading, mentions, new)
    return Finding("retired-tag", where, start, stop, sentence, new, mend)


def _foreign(reading: Reading, where: Where, mentions: Sequence[Mention], card: Card) -> Finding:
    start, stop = extent(reading.prompt, mentions[0].span)
    known = card.foreign.get(mentions[0].name)
    old = shown(reading.prompt[start:stop])
    what = f"{old} is another model's"
    if known:
        article = "an" if known.group[0] in "aeiou" else "a"
        what = f"{old} is {article} {known.group} tag of {known.title}"
    unwanted = card.unwanted.get(known.group) if known and where == "prompt" else None
    if new := card.instead.get(mentions[0].name):
        sentence = f"{what}; {card.title} has {new!r} for it."
        mend = _renamed(reading, mentions, new)
        return Finding("foreign-tag", where, start, stop, sentence, new, mend)
    if unwanted is None:
        sentence = f"{what}, which the card of {card.title} does not know."
        return Finding("foreign-tag", where, start, stop, sentence)
    sentence = (
        f"{what}; the card of {card.title} advises against {unwanted.what}: {unwanted.reason}."
    )
    mend = left_out(reading, mentions) if unwanted.delete else None
    return Finding("foreign-tag", where, start, stop, sentence, "" if mend else None, mend)


def _against(
    reading: Reading, where: Where, mentions: Sequence[Mention], avoid: Avoid, card: Card
) -> Finding:
    start, stop = extent(reading.prompt, mentions[0].span)
    place = "" if avoid.where == "embeddings" else f" in the {avoid.where}"
    sentence = (
        f"{shown(reading.prompt[start:stop])}: the card of {card.title} advises against "
        f"{avoid.what}{place}; {avoid.reason}."
    )
    mend = left_out(reading, mentions) if avoid.delete else None
    return Finding("avoid", where, start, stop, sentence, "" if mend else None, mend)


def left_out(reading: Reading, mentions: Iterable[Mention]) -> Mend | None:
    """How tags are taken out, None where none can be alone."""
    edits, spans, behind = list[Edit](), list[Span](), 0
    for mention in sorted(mentions, key=lambda each: each.start):
        edit = taken_out(reading.prompt, mention.span) if _is_plain(reading, mention) else None
        if edit is not None and edit.start >= behind:
            edits.append(edit)
            spans.append(mention.span)
            behind = edit.stop
    if not edits:
        return None
    first = shown(reading.prompt[spans[0][0] : spans[0][1]])
    words = f"took out {first}" + (f" at {len(edits)} places" if len(edits) > 1 else "")
    return Mend(tuple(edits), words, tuple(spans))


def _renamed(reading: Reading, mentions: Iterable[Mention], new: str) -> Mend | None:
    """How another tag is written in their place, in the same style."""
    plain = [mention for mention in mentions if _is_plain(reading, mention)]
    if not plain:
        return None
    spans = [extent(reading.prompt, mention.span) for mention in plain]
    first = reading.prompt[slice(*spans[0])]
    return Mend(
        tuple(Edit(*span, _in_style(new, reading.prompt[slice(*span)])) for span in spans),
        f"wrote {_in_style(new, first)!r} for {shown(first)}",
        tuple(mention.span for mention in plain),
        names_in(new),
    )


def _in_style(new: str, old: str) -> str:
    """The new tag with underscores where the old one has them."""
    if "_" not in old or " " in old or ":" in new:
        return new
    return ", ".join(tag.replace(" ", "_") for tag in new.split(", "))


def _is_plain(reading: Reading, mention: Mention) -> bool:
    """Whether the tag is written in one go, with no structure of the prompt inside."""
    start, stop = extent(reading.prompt, mention.span)
    return literal_name(reading.prompt[start:stop]) == mention.name
