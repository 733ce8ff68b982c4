"""Tokens to chunks of 77: how prompts of any length fit an encoder that reads 77 tokens.

Every rule cuts the row of tokens into pieces of at most 75; a piece becomes a chunk by begin,
end and padding. Tokens never change their order, and their weights go with them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sakuga.engine.text.segments import Rule, Segment, Token, Word
from sakuga.engine.text.vocabulary import BEGIN, COMMA, END
from sakuga.profiles.families import CHUNK

Pad = Literal["end", "zero"]
Piece = tuple[Token, ...]
Row = tuple[Token, ...]  # the 77 of a chunk

PIECE = CHUNK - 2  # tokens of the prompt in one chunk
COMMA_BACKTRACK = 20  # A1111's setting of that name
SHORT_SEGMENT = 8  # ComfyUI moves a segment of fewer tokens whole


@dataclass(frozen=True)
class Pieces:
    """A prompt's tokens in pieces of at most 75, and how many tokens were left out."""

    pieces: tuple[Piece, ...]
    cut: int = 0


def split(segments: Sequence[Segment], rule: Rule) -> Pieces:
    """Cuts a prompt by a tool's rule. An empty prompt is one empty piece.

    `a1111`: pieces of 75 that end at a comma if one lies within the last 20 tokens, and with the
    segment; the vectors of an embedding stay together. (Where A1111 moves an embedding to the next
    piece with the words behind a comma, it leaves its vectors behind; here they go along.)
    `comfy`: pieces of 75; a segment of fewer than 8 tokens moves whole to the next piece.
    `diffusers`: the first 75 tokens, the rest is cut.
    """
    if rule == "a1111":
        return Pieces(_cut_at_commas(segments))
    flat = [[token for word in segment for token in word] for segment in segments]
    if rule == "comfy":
        return Pieces(_cut_by_segment(flat))
    tokens = [token for segment in flat for token in segment]
    return Pieces((tuple(tokens[:PIECE]),), cut=max(0, len(tokens) - PIECE))


def frame(piece: Piece, pad: Pad, rule: Rule) -> Row:
    """A piece as the 77 tokens an encoder reads: begin, the piece, end, padding.

    `pad`: 49407 again ("end", CLIP-L) or 0 ("zero", CLIP-G). Under `a1111` everything after the
    first end-of-text is blanked for "zero", also where the prompt itself holds that token; its
    weight stays.
    """
    row = [Token(BEGIN), *piece, Token(END)]
    filler = Token(END if pad == "end" else 0)
    row += [filler] * (CHUNK - len(row))
    if pad == "zero" and rule == "a1111":
        first = end_index(row)
        row[first + 1 :] = [token._replace(id=0) for token in row[first + 1 :]]
    return tuple(row)


def end_index(row: Sequence[Token]) -> int:
    """Where the first end-of-text (49407) stands: the token whose state is pooled."""
    return next(at for at, token in enumerate(row) if token.id == END)


class _Filling:
    """Pieces filled one after the other. `comma`: where the last one stands in the one at work."""

    def __init__(self) -> None:
        self.done: list[Piece] = []
        self.now: list[Token] = []
        self.comma: int | None = None

    def close(self, keep: int = PIECE) -> None:
        """The piece ends; its tokens from `keep` on begin the next one."""
        self.done.append(tuple(self.now[:keep]))
        self.now, self.comma = self.now[keep:], None

    def add(self, word: Word) -> None:
        """Append a word. A1111 forgets the comma that opens a piece."""
        if word[0].id == COMMA:
            self.comma = len(self.now)
        elif len(self.now) == PIECE and self.comma is not None:
            near = PIECE - self.comma <= COMMA_BACKTRACK
            self.close(self.comma + 1 if near else PIECE)
        if len(self.now) + len(word) > PIECE:
            self.close()
        self.now += word


def _cut_at_commas(segments: Sequence[Segment]) -> tuple[Piece, ...]:
    filling = _Filling()
    for number, segment in enumerate(segments):
        if number > 0:
            filling.close()
        for word in segment:
            filling.add(word)
    if filling.now or not filling.done:
        filling.close()
    return tuple(filling.done)


def _cut_by_segment(segments: Sequence[Sequence[Token]]) -> tuple[Piece, ...]:
    pieces: list[list[Token]] = [[]]
    for segment in segments:
        left = list(segment)
        while len(left) > (room := PIECE - len(pieces[-1])):
            if len(segment) >= SHORT_SEGMENT:
                pieces[-1] += left[:room]
                left = left[room:]
            pieces.append([])
        pieces[-1] += left
    return tuple(tuple(piece) for piece in pieces)
