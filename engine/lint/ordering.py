"""Tags in an order the card advises against, and the prompt in the card's."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from sakuga.engine.lint.card import Card
from sakuga.engine.lint.finding import Edit, Finding, Mend, Span, shown
from sakuga.engine.lint.items import Block, Item, blocks
from sakuga.engine.lint.order import latecomer, sorting_key
from sakuga.engine.lint.reading import Reading, Section
from sakuga.engine.lint.spots import extent
from sakuga.engine.text.segments import Rule

_Ranks = dict[Span, int | None]


def order_findings(reading: Reading, card: Card, rule: Rule) -> Iterator[Finding]:
    """The first tag between two BREAKs that comes too late, for each of them."""
    order, told = card.order, set[Span]()
    known: list[Block] = []
    for section in reading.sections:
        ranks = order.ranks(section)
        found = latecomer(ranks)
        if found is None or section[found[0]].span in told:
            continue
        late, early = (section[at] for at in found)
        told.add(late.span)
        places = [order.label(rank) for at in found if (rank := ranks[at]) is not None]
        start, stop = extent(reading.prompt, late.span)
        sentence = (
            f"{shown(reading.prompt[start:stop])} stands behind {shown(reading.text(early))}; the "
            f"card of {card.title} puts {places[0]} before {places[1]}."
        )
        known = known or [*blocks(reading.prompt, rule)]
        by_span = dict(zip((each.span for each in section), ranks, strict=True))
        mend = _sorted(reading.prompt, known[_block_at(known, section)], by_span, order.rest)
        yield Finding("order", "prompt", start, stop, sentence, mend=mend)


def _block_at(known: Sequence[Block], section: Section) -> int:
    return bisect_right(known, section[0].start, key=lambda block: block.start) - 1


def _sorted(prompt: str, block: Block, ranks: _Ranks, rest: int | None) -> Mend | None:
    """The block with its items in order; None where that changes nothing."""
    if max(stop for _, stop in ranks) > block.stop:
        return None  # brackets that the parser pairs otherwise
    keys = sorting_key(_ranks(block.items, ranks, rest), rest)
    turned = [block.items[at] for at in sorted(range(len(keys)), key=keys.__getitem__)]
    if turned == list(block.items):
        return None
    text = _written(prompt, block.items, turned)
    start, stop = block.items[0].start, block.items[-1].stop
    return Mend((Edit(start, stop, text),), f"put {shown(text)} in the card's order")


def _ranks(items: Sequence[Item], ranks: _Ranks, rest: int | None) -> Iterator[int | None]:
    """Of what lies between two commas each: that of its tags if they agree."""
    spans = sorted(ranks)
    for item in items:
        here = spans[bisect_left(spans, (item.start, 0)) : bisect_left(spans, (item.stop, 0))]
        found = {ranks[span] for span in here}
        yield found.pop() if len(found) == 1 else (rest if found else None)


def _written(prompt: str, items: Sequence[Item], turned: Sequence[Item]) -> str:
    """The items in another order, what is between them where it was."""
    text = prompt[turned[0].start : turned[0].stop]
    for before, after, item in zip(items, items[1:], turned[1:], strict=False):
        text += prompt[before.stop : after.start] + prompt[item.start : item.stop]
    return text
