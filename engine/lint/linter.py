"""The linter: all that can be said of a prompt and its negative prompt before a picture is made."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Literal

from sakuga.engine.errors import UsageError
from sakuga.engine.lint.brackets import bracket_findings
from sakuga.engine.lint.card import NO_CARD, Card, card_of
from sakuga.engine.lint.company import conflicts, on_both_sides, repeats
from sakuga.engine.lint.finding import Finding, Where
from sakuga.engine.lint.length import Length, Ruler, length_findings, refusal
from sakuga.engine.lint.ordering import order_findings
from sakuga.engine.lint.reading import Manner, Reading, read, read_negative
from sakuga.engine.lint.special import special_findings
from sakuga.engine.lint.structure import structure_findings
from sakuga.engine.text.networks import BuiltLora, check_loras
from sakuga.engine.text.surround import surround
from sakuga.profiles.preset import Preset

_REMEMBERED = 1024  # prompts: those of a sweep over seeds are one


@dataclass(frozen=True)
class Question:
    """What to look at. `negative_prompt` None: the preset's stands in; `prefix` "preset": its tags
    will be put around the prompt. As in rendering, neither holds for diffusers."""

    prompt: str
    negative_prompt: str | None = None
    manner: Manner = field(default_factory=Manner)
    prefix: Literal["preset", "none"] = "preset"


@dataclass(frozen=True)
class Report:
    """What was found, in the order of the texts, and how long those are that can be rendered."""

    findings: tuple[Finding, ...]
    lengths: Mapping[Where, Length]


class Linter:
    """Looks at prompts for a model."""

    def __init__(
        self, preset: Preset | None, ruler: Ruler, loras: Sequence[BuiltLora] | None = None
    ) -> None:
        """`preset`: whose card counts, None for none; `loras`: those in the bundle, None where
        nobody knows."""
        self.preset = preset
        self._ruler = ruler
        self._loras = loras
        self._known = lru_cache(_REMEMBERED)(self._look)

    @cached_property
    def card(self) -> Card:
        """What the preset's card says, beside those of the other presets, which are read for it."""
        return NO_CARD if self.preset is None else card_of(self.preset)

    def lint(self, question: Question) -> Report:
        """All that is found, remembered by the texts. What rendering would refuse is a finding and
        no error."""
        return self._known(question)

    def _look(self, question: Question) -> Report:
        manner, prompt, negative = question.manner, question.prompt, question.negative_prompt or ""
        reading, against = read(prompt, manner), read_negative(negative, manner)
        found = [*self._of_a_prompt(reading, manner)]
        if negative:
            found += self._of_either(against, "negative prompt", manner)
        lengths: dict[Where, Length] = {}
        if reading.refused is None:
            whole = self._surrounded(reading, question)
            found += self._of_company(whole, against, question)
            lengths |= self._length(whole, "prompt", question, found)
        if negative and against.refused is None:
            lengths |= self._length(against, "negative prompt", question, found)
        return Report(_in_order(found), lengths)

    def _of_either(self, reading: Reading, where: Where, manner: Manner) -> Iterator[Finding]:
        if reading.refused is not None:
            yield refusal(reading.refused, where, reading.prompt)
            return
        yield from bracket_findings(reading, where, manner)
        yield from structure_findings(reading, where, manner)
        yield from special_findings(reading, where, self.card)
        yield from repeats(reading, where)

    def _of_a_prompt(self, reading: Reading, manner: Manner) -> Iterator[Finding]:
        yield from self._of_either(reading, "prompt", manner)
        yield from order_findings(reading, self.card, manner.rule)
        if self._loras is not None:
            try:
                check_loras(reading.loras, self._loras)
            except UsageError as error:
                yield refusal(error, "prompt", reading.prompt)

    def _surrounded(self, reading: Reading, question: Question) -> Reading:
        """The prompt as it will be encoded: with the preset's tags around it."""
        if not self.preset or question.prefix == "none" or question.manner.rule == "diffusers":
            return reading
        prefix, suffix = self.preset.prefix, self.preset.suffix
        prompt = surround(reading.prompt, prefix, suffix, question.manner.rule)
        whole = reading if prompt == reading.prompt else read(prompt, question.manner)
        return whole if whole.refused is None else reading

    def _of_company(
        self, whole: Reading, against: Reading, question: Question
    ) -> Iterator[Finding]:
        """What goes ill together, with its place in the prompt as it was given."""
        if question.negative_prompt is not None or question.manner.rule == "diffusers":
            names = frozenset(mention.name for mention in against.mentions)
            whose = "the negative prompt"
        else:
            names, whose = self.card.own_negative, "the negative prompt of the card"
        found = [*conflicts(whole, self.card), *on_both_sides(whole, names, whose)]
        before = self.preset.prefix if self.preset and whole.prompt != question.prompt else ""
        whole_before = surround(question.prompt, before, "", question.manner.rule)
        added = len(whole_before) - len(question.prompt)
        last = len(question.prompt)
        for each in found:
            start, stop = (min(max(at - added, 0), last) for at in (each.start, each.stop))
            yield replace(each, start=start, stop=stop)

    def _length(
        self, reading: Reading, where: Where, question: Question, found: list[Finding]
    ) -> dict[Where, Length]:
        """How long a prompt is, if it can be rendered; what is too long goes to `found`."""
        given = question.prompt if where == "prompt" else reading.prompt
        most = self.preset.max_tokens if self.preset and where == "prompt" else None
        try:
            length = self._ruler.length(reading, question.manner)
        except UsageError as error:
            found.append(refusal(error, where, given))
            return {}
        for each in length_findings(reading, where, length, self._ruler, most):
            found.append(replace(each, stop=min(each.stop, len(given))))
        return {where: length}


def _in_order(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Each once, the prompt's first, by place."""
    whole = dict.fromkeys(found)
    return tuple(sorted(whole, key=lambda each: (each.where != "prompt", each.start, each.stop)))
