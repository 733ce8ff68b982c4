"""A prompt as tokens with weights: read by a tool's grammar, names of embeddings replaced."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from sakuga.engine.errors import UsageError
from sakuga.engine.text.attention import BREAK, Piece, read_attention
from sakuga.engine.text.comfy import read_comfy_attention
from sakuga.engine.text.embeddings import NO_EMBEDDINGS, Embedding, Embeddings
from sakuga.engine.text.tokenizer import Tokenizer, check_text

Rule = Literal["a1111", "comfy", "diffusers"]
Emphasis = Literal["Original", "No norm", "None", "Ignore"]  # A1111's names of them


def emphasis_name(name: str) -> Emphasis:
    """The emphasis of a name in whatever case. Raises UsageError that names the known ones."""
    known: tuple[Emphasis, ...] = get_args(Emphasis)
    for emphasis in known:
        if name.strip().casefold() == emphasis.casefold():
            return emphasis
    raise UsageError(
        f"There is no emphasis called {name!r}.",
        hint=f"Use one of {', '.join(known)}.",
    )


class Token(NamedTuple):
    """A token id and how much it counts. `embedding`: whose vector number `nth` stands there."""

    id: int
    weight: float = 1.0
    embedding: Embedding | None = None
    nth: int = 0


Word = tuple[Token, ...]  # stays together: one token, or the vectors of an embedding
# What lies between two BREAKs (a1111), counts alike or is an embedding (comfy), is all (diffusers).
Segment = tuple[Word, ...]

_EMBEDDING = "embedding:"
_BEFORE_EMBEDDING = re.compile(f"[ \n](?={_EMBEDDING})")


@dataclass(frozen=True, eq=False)
class Grammar:
    """How prompts are read: by which tool's rules, with which embeddings.

    `emphasis` is A1111's setting: "Original" restores the mean that weights change, "No norm" does
    not, "Ignore" reads weights and follows none, "None" does not read them, nor BREAK. It means
    nothing to comfy, which has one way of its own, and to diffusers, which reads no weights.
    """

    rule: Rule
    emphasis: Emphasis = "Original"
    embeddings: Embeddings = NO_EMBEDDINGS

    def read(self, text: str, tokenizer: Tokenizer) -> list[Segment]:
        """A prompt's tokens. Raises UsageError for text that cannot be read."""
        check_text(text)
        if self.rule == "diffusers":
            return [_words(tokenizer.encode(text), 1.0)]
        if self.rule == "comfy":
            return [*_comfy(read_comfy_attention(text), tokenizer, self.embeddings)]
        return self._a1111(text, tokenizer)

    def _a1111(self, text: str, tokenizer: Tokenizer) -> list[Segment]:
        segments: list[list[Word]] = [[]]
        for piece in [Piece(text, 1.0)] if self.emphasis == "None" else read_attention(text):
            if piece == BREAK:
                segments.append([])
            else:
                weight = 1.0 if self.emphasis == "Ignore" else piece.weight
                segments[-1] += _named(tokenizer.encode(piece.text), weight, self.embeddings)
        return [tuple(segment) for segment in segments]


def _words(ids: Sequence[int], weight: float) -> Segment:
    return tuple((Token(token, weight),) for token in ids)


def _vectors(embedding: Embedding, weight: float) -> Word:
    return tuple(Token(0, weight, embedding, nth) for nth in range(embedding.count))


def _named(ids: list[int], weight: float, embeddings: Embeddings) -> Iterator[Word]:
    """A1111's rule: the tokens of a name stand for its vectors, wherever they are."""
    at = 0
    while at < len(ids):
        embedding, length = embeddings.at(ids, at)
        yield (Token(ids[at], weight),) if embedding is None else _vectors(embedding, weight)
        at += length


def _comfy(pieces: list[Piece], tokenizer: Tokenizer, embeddings: Embeddings) -> Iterator[Segment]:
    """ComfyUI's rule: `embedding:name`, at the beginning of a piece or behind a blank."""
    for text, weight in pieces:
        for part in _BEFORE_EMBEDDING.split(text):
            words = part.removeprefix(_EMBEDDING).split() if part.startswith(_EMBEDDING) else []
            if words:
                embedding, rest = embeddings.called(words[0])
                yield (_vectors(embedding, weight),)
                part = " ".join([rest, *words[1:]])
            if part.strip():
                yield _words(tokenizer.encode(part), weight)
