"""Whether a tool reads a rewritten prompt as it should: the same, but for what was mended."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sakuga.engine.lint.finding import Mend, Span
from sakuga.engine.lint.reading import Mention, Reading, Section

_Said = Counter[tuple[str, tuple[float, ...]]]  # names with their weights


def agree(before: Reading, after: Reading, mends: Iterable[Mend]) -> bool:
    """Whether all that is read afterwards is what was read before, each tag with its weight, its
    place between BREAKs and ANDs and its time; those of the mends replaced as they say."""
    renamed = {span: mend.names for mend in mends for span in mend.spans}
    return _same_frame(before, after) and all(
        Counter(_replaced(old, renamed)) == _said(new)
        for old, new in zip(before.sections, after.sections, strict=True)
    )


def adds_only(before: Reading, after: Reading, names: frozenset[str]) -> bool:
    """Whether all is read as before, and besides only tags called `names`, unweighted."""
    if not _same_frame(before, after):
        return False
    for old, new in zip(before.sections, after.sections, strict=True):
        more = _said(new) - _said(old)
        if _said(old) - _said(new) or any(
            name not in names or weights != (1.0,) for name, weights in more
        ):
            return False
    return True


def _same_frame(before: Reading, after: Reading) -> bool:
    """Whether both have the same networks, the same ANDs with their weights, as many moments, and
    the same BREAKs."""
    return (
        after.refused is None
        and before.loras == after.loras
        and before.whole == after.whole
        and [*_frame(before)] == [*_frame(after)]
    )


def _frame(reading: Reading) -> Iterator[tuple[float, list[int]]]:
    for thread in reading.threads:
        yield thread.weight, [len(moment.sections) for moment in thread.moments]


def _said(section: Section) -> _Said:
    return Counter((mention.name, mention.weights) for mention in section)


def _replaced(
    section: Sequence[Mention], renamed: Mapping[Span, tuple[str, ...]]
) -> Iterator[tuple[str, tuple[float, ...]]]:
    for mention in section:
        if mention.span in renamed:
            yield from ((name, mention.weights[:1]) for name in renamed[mention.span])
        else:
            yield mention.name, mention.weights
