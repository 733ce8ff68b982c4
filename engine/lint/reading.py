"""A prompt as its tool reads it: which tags, with which weights, when, and where they stand."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sakuga.engine.errors import UsageError
from sakuga.engine.lint.names import literal_name, tag_name
from sakuga.engine.lint.traced import places, trace, untrace
from sakuga.engine.text.attention import BREAK, Piece, read_attention
from sakuga.engine.text.comfy import read_comfy_attention
from sakuga.engine.text.networks import Lora
from sakuga.engine.text.prompt import Prompt, read_negative_prompt, read_prompt
from sakuga.engine.text.segments import Emphasis, Rule
from sakuga.engine.text.tokenizer import MAX_CHARACTERS, check_text

_BETWEEN = re.compile(r"[,\n]")
# Of all texts that a prompt becomes by editing, the first are looked at, up to so many characters.
_MOST_CHARACTERS = 2 * MAX_CHARACTERS


class Mention(NamedTuple):
    """A tag where it is read. `start`, `stop`: its letters in the prompt; `weights`: theirs, each
    once."""

    name: str
    start: int
    stop: int
    weights: tuple[float, ...]

    @property
    def span(self) -> tuple[int, int]:
        """Where its letters stand."""
        return self.start, self.stop


Section = tuple[Mention, ...]  # what is read between two BREAKs


@dataclass(frozen=True)
class Moment:
    """What a prompt says up to an evaluation: its traced text, the pieces of that, and its tags."""

    text: str
    pieces: tuple[Piece, ...]
    sections: tuple[Section, ...]


@dataclass(frozen=True)
class Thread:
    """One of the prompts between ANDs: its weight, and what it says, each text once."""

    weight: float
    moments: tuple[Moment, ...]


@dataclass(frozen=True)
class Reading:
    """A prompt, read. `traced`: its letters with their places; `refused`: why it cannot be read;
    `whole`: whether all it becomes was looked at."""

    prompt: str
    traced: str = ""
    threads: tuple[Thread, ...] = ()
    loras: tuple[Lora, ...] = ()
    refused: UsageError | None = None
    whole: bool = True

    @property
    def sections(self) -> Iterator[Section]:
        """Tags that are read together, whenever that is."""
        for thread in self.threads:
            for moment in thread.moments:
                yield from moment.sections

    @property
    def mentions(self) -> Iterator[Mention]:
        """Every tag, as often as it is read."""
        for section in self.sections:
            yield from section

    def text(self, mention: Mention) -> str:
        """The tag as it is written."""
        return self.prompt[mention.start : mention.stop]


@dataclass(frozen=True)
class Manner:
    """How prompts are read: by whose rule, with which emphasis, in how many evaluations."""

    rule: Rule = "a1111"
    emphasis: Emphasis = "Original"
    evaluations: int = 28

    @property
    def weighs(self) -> bool:
        """Whether brackets are read at all."""
        return self.rule != "diffusers" and self.emphasis != "None"

    def pieces(self, text: str) -> list[Piece]:
        """What a text says, and how much that counts."""
        if not self.weighs:
            return [Piece(text, 1.0)]
        return read_attention(text) if self.rule == "a1111" else read_comfy_attention(text)

    def positive(self, text: str) -> Prompt:
        """A prompt by the rule."""
        return read_prompt(text, self.rule, self.evaluations)

    def negative(self, text: str) -> Prompt:
        """A negative prompt by the rule."""
        return Prompt((read_negative_prompt(text, self.rule, self.evaluations),))


def read(text: str, manner: Manner) -> Reading:
    """A prompt as it is read."""
    return _read(text, manner, manner.positive)


def read_negative(text: str, manner: Manner) -> Reading:
    """A negative prompt as it is read."""
    return _read(text, manner, manner.negative)


def _read(text: str, manner: Manner, parse: Callable[[str], Prompt]) -> Reading:
    try:
        check_text(text)
        traced = trace(text)
        prompt = parse(traced)
        left = _MOST_CHARACTERS
        threads = list[Thread]()
        for strand in prompt.strands:
            moments = list[Moment]()
            for said in dict.fromkeys(strand.texts):
                left -= len(said)
                if left >= 0 or not moments:
                    moments.append(_moment(said, text, manner))
            threads.append(Thread(strand.weight, tuple(moments)))
    except UsageError as error:
        return Reading(text, refused=_in_words_of(text, manner, parse, error))
    return Reading(text, traced, tuple(threads), prompt.loras, whole=left >= 0)


def _in_words_of(
    text: str, manner: Manner, parse: Callable[[str], Prompt], error: UsageError
) -> UsageError:
    """The same error of the prompt itself, whose words the traced one has lost."""
    try:
        check_text(text)
        for strand in parse(text).strands:
            for said in strand.texts:
                manner.pieces(said)
    except UsageError as real:
        return real
    return error


def _moment(said: str, prompt: str, manner: Manner) -> Moment:
    pieces = tuple(manner.pieces(said))
    sections: list[list[Piece]] = [[]]
    for piece in pieces:
        if piece == BREAK and manner.rule == "a1111":
            sections.append([])
        else:
            sections[-1].append(piece)
    return Moment(said, pieces, tuple(tuple(_mentions(each, prompt, manner)) for each in sections))


def _mentions(pieces: Sequence[Piece], prompt: str, manner: Manner) -> Iterator[Mention]:
    """The tags between commas and lines, those without a letter left out."""
    name_of = tag_name if manner.rule == "a1111" and manner.weighs else literal_name
    for parts in _tags(pieces):
        letters = [(places(text), weight) for text, weight in parts]
        found = [at for several, _ in letters for at in several]
        if found:
            name = name_of(untrace("".join(text for text, _ in parts), prompt))
            weights = dict.fromkeys(weight for several, weight in letters if several)
            yield Mention(name, found[0], found[-1] + 1, tuple(weights))


def _tags(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    tag: list[Piece] = []
    for text, weight in pieces:
        first, *others = _BETWEEN.split(text)
        tag.append(Piece(first, weight))
        for other in others:
            yield tag
            tag = [Piece(other, weight)]
    yield tag
