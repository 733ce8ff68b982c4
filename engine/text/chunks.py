"""Token ids to chunks of 77: how prompts of any length fit an encoder that reads 77 tokens.

Every rule cuts the row of tokens into pieces of at most 75; a piece becomes a chunk by begin,
end and padding. Tokens never change their order, so weights can follow the same cuts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sakuga.engine.text.vocabulary import BEGIN, COMMA, END
from sakuga.profiles.families import CHUNK

LongPrompt = Literal["a1111", "comfy", "diffusers"]
Pad = Literal["end", "zero"]

PIECE = CHUNK - 2  # tokens of the prompt in one chunk
COMMA_BACKTRACK = 20  # A1111's setting of that name
SHORT_SEGMENT = 8  # ComfyUI moves a segment of fewer tokens whole


@dataclass(frozen=True)
class Pieces:
    """A prompt's tokens in pieces of at most 75, and how many tokens were left out."""

    pieces: tuple[tuple[int, ...], ...]
    cut: int = 0


def split(segments: Sequence[Sequence[int]], rule: LongPrompt) -> Pieces:
    """Cuts a prompt by a tool's rule. An empty prompt is one empty piece.

    `segments` are the parts of a prompt that were tokenised apart; a plain prompt is one
    segment. `a1111`: pieces of 75 that end at a comma if one lies within the last 20 tokens.
    `comfy`: pieces of 75; a segment of fewer than 8 tokens moves whole to the next piece.
    `diffusers`: the first 75 tokens, the rest is cut.
    """
    if rule == "comfy":
        return Pieces(_cut_by_segment(segments))
    ids = [token for segment in segments for token in segment]
    if rule == "a1111":
        return Pieces(_cut_at_commas(ids))
    return Pieces((tuple(ids[:PIECE]),), cut=max(0, len(ids) - PIECE))


def frame(piece: Sequence[int], pad: Pad, rule: LongPrompt) -> tuple[int, ...]:
    """A piece as the 77 ids an encoder reads: begin, the piece, end, padding.

    `pad`: 49407 again ("end", CLIP-L) or 0 ("zero", CLIP-G). Under `a1111` everything after the
    first end-of-text is blanked for "zero", also where the prompt itself holds that token.
    """
    row = [BEGIN, *piece, END]
    if pad == "zero" and rule == "a1111":
        row = row[: row.index(END) + 1]
    filler = END if pad == "end" else 0
    return (*row, *[filler] * (CHUNK - len(row)))


def chunk(
    segments: Sequence[Sequence[int]], rule: LongPrompt, pad: Pad
) -> tuple[tuple[int, ...], ...]:
    """A prompt's chunks of 77 ids: `split`, then `frame` for each piece."""
    return tuple(frame(piece, pad, rule) for piece in split(segments, rule).pieces)


def end_index(row: Sequence[int]) -> int:
    """Where the first end-of-text (49407) stands: the token whose state is pooled."""
    return list(row).index(END)


def _cut_at_commas(ids: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    pieces: list[tuple[int, ...]] = []
    start, comma = 0, None  # where the piece begins, its last comma
    for index, token in enumerate(ids):
        if index - start == PIECE:
            stop = index if token == COMMA else _after_comma(comma, index)
            pieces.append(tuple(ids[start:stop]))
            # A1111 forgets the comma that opens a piece because the one before it was full.
            start, comma = stop, None
        elif token == COMMA:
            comma = index
    if len(ids) > start or not pieces:
        pieces.append(tuple(ids[start:]))
    return tuple(pieces)


def _after_comma(comma: int | None, index: int) -> int:
    if comma is None or index - comma > COMMA_BACKTRACK:
        return index
    return comma + 1


def _cut_by_segment(segments: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    pieces: list[list[int]] = [[]]
    for segment in segments:
        left = list(segment)
        while len(left) > (room := PIECE - len(pieces[-1])):
            if len(segment) >= SHORT_SEGMENT:
                pieces[-1] += left[:room]
                left = left[room:]
            pieces.append([])
        pieces[-1] += left
    return tuple(tuple(piece) for piece in pieces)
