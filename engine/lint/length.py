"""How long a prompt is for its text encoders, and whether that is too long."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sakuga.engine.errors import UsageError
from sakuga.engine.lint.finding import Finding, Where, shown
from sakuga.engine.lint.reading import Manner, Mention, Reading
from sakuga.engine.lint.traced import untrace
from sakuga.engine.text.chunks import PIECE, split
from sakuga.engine.text.conditioning import check_prompt
from sakuga.engine.text.embeddings import NO_EMBEDDINGS, Embeddings
from sakuga.engine.text.segments import Grammar
from sakuga.engine.text.tokenizer import Tokenizer
from sakuga.profiles.families import CHUNK
from sakuga.profiles.networks import CONTEXT

MOST_CHUNKS = CONTEXT.maximum // CHUNK  # what UNets take, unless a bundle says otherwise


@dataclass(frozen=True)
class Length:
    """Tokens and chunks of 75 of a prompt at its longest; `cut`: how many are not read."""

    tokens: int
    chunks: int
    cut: int = 0


@dataclass(frozen=True, eq=False)
class Ruler:
    """What lengths are measured with: the tokenizer, the embeddings at hand, the most chunks."""

    tokenizer: Tokenizer
    embeddings: Embeddings = NO_EMBEDDINGS
    most_chunks: int = MOST_CHUNKS

    def length(self, reading: Reading, manner: Manner) -> Length:
        """Of the longest text the prompt becomes. Raises UsageError for what cannot be read, such
        as an embedding that is not there, and for more chunks than a UNet takes."""
        grammar = Grammar(manner.rule, manner.emphasis, self.embeddings)
        longest = Length(0, 1)
        for text in _texts(reading):
            found = split(grammar.read(text, self.tokenizer), grammar.rule)
            if len(found.pieces) > self.most_chunks:
                check_prompt(text, self.tokenizer, grammar, self.most_chunks)
            tokens = sum(map(len, found.pieces)) + found.cut
            if tokens >= longest.tokens:
                longest = Length(tokens, len(found.pieces), found.cut)
        return longest

    def first_unread(self, reading: Reading) -> Mention | None:
        """The first tag in a prompt of diffusers that is not read to its end."""
        mentions = [*reading.mentions]

        def tokens(mention: Mention) -> int:
            return len(self.tokenizer.encode(reading.prompt[: mention.stop]))

        at = bisect_left(mentions, PIECE + 1, key=tokens)
        return mentions[at] if at < len(mentions) else None


def length_findings(
    reading: Reading, where: Where, length: Length, ruler: Ruler, most_tokens: int | None
) -> Iterator[Finding]:
    """What is not read, and what is more than the card wants. `most_tokens`: what that is."""
    whole = 0, len(reading.prompt)
    if length.cut:
        first = ruler.first_unread(reading)
        start, stop = first.span if first else whole
        behind = f"from {shown(reading.text(first))} on" if first else "at its end"
        sentence = (
            f"{length.cut} of {length.tokens} tokens are not read, {behind}; diffusers reads the "
            f"first {PIECE}."
        )
        yield Finding("length", where, start, stop, sentence)
    elif most_tokens is not None and length.tokens > most_tokens:
        sentence = f"{length.tokens} tokens are more than the {most_tokens} the card advises."
        yield Finding("length", where, *whole, sentence)


def refusal(error: UsageError, where: Where, prompt: str) -> Finding:
    """What cannot be rendered at all."""
    sentence = " ".join(filter(None, (error.what, error.note)))
    return Finding("refused", where, 0, len(prompt), sentence)


def _texts(reading: Reading) -> Sequence[str]:
    return [
        untrace(moment.text, reading.prompt)
        for thread in reading.threads
        for moment in thread.moments
    ]
