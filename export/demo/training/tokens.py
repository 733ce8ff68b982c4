"""Captions as token ids, with words nobody taught mixed in."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.text.tokenizer import Tokenizer, clip_tokenizer
from sakuga.engine.text.vocabulary import BEGIN, END, WORD_END, clip_merges, clip_vocabulary
from sakuga.export.demo.captions import Tag, vocabulary
from sakuga.profiles.families import CHUNK

_STRANGE_SHARE = 0.35  # of captions hold words without meaning


@dataclass(frozen=True, eq=False)
class Tokens:
    """Ids [77], index of the first end of text, and the last token of each tag."""

    ids: NDArray[np.int64]
    end: int
    tag_ends: tuple[int, ...]


@cache
def phrase(text: str) -> tuple[int, ...]:
    """Ids of one tag."""
    return tuple(_tokenizer().encode(text))


@cache
def known_tokens() -> frozenset[int]:
    """Ids whose embeddings are trained; all others stay zero and so say nothing."""
    known = {token for text in vocabulary() for token in phrase(text)}
    return frozenset(known | set(phrase(",")) | {BEGIN, END, 0})


def tokenized(tags: Sequence[Tag], generator: np.random.Generator | None = None) -> Tokens:
    """A caption of at most 75 tokens; with a generator, strange words may stand in it."""
    ids, ends = [BEGIN], []
    strange = generator is not None and generator.random() < _STRANGE_SHARE
    for text, _ in tags:
        piece = phrase(text)
        if generator is not None and strange and generator.random() < 0.25:
            words = generator.integers(len(_strange()), size=int(generator.integers(1, 4)))
            ids += [*(_strange()[word] for word in words), *phrase(",")]
        if len(ids) + len(piece) > CHUNK - 2:
            break
        ids += piece
        ends.append(len(ids) - 1)
        ids += phrase(",")
    ids = ids[: CHUNK - 1]
    if ends and ids[-1] in phrase(","):
        ids = ids[:-1]  # the last tag has no comma behind it
    padded = np.full(CHUNK, END, np.int64)
    padded[: len(ids)] = ids
    return Tokens(padded, len(ids), tuple(ends))


@cache
def _tokenizer() -> Tokenizer:
    return clip_tokenizer()


@cache
def _strange() -> tuple[int, ...]:
    ids = clip_vocabulary(clip_merges())
    return tuple(
        number
        for token, number in ids.items()
        if token.endswith(WORD_END) and token[:-4].isalpha() and number not in known_tokens()
    )
