"""Prompts to conditioning: embedding lookup, the text networks, joining their states."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.errors import UsageError
from sakuga.engine.text.chunks import Pieces, Row, end_index, frame, split
from sakuga.engine.text.clip_skip import Layer
from sakuga.engine.text.emphasis import interpolate, scale, scale_and_restore_mean
from sakuga.engine.text.segments import Grammar
from sakuga.engine.text.tokenizer import Tokenizer
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import CHUNK, TextEncoder
from sakuga.profiles.networks import ROWS

Tensors = Mapping[str, NDArray[np.generic]]
RunNetwork = Callable[[Tensors], Tensors]


@dataclass(frozen=True, eq=False)
class ClipEncoder:
    """One text encoder: its tokenizer, its token embeddings and its network.

    `table`: token embeddings [49408, hidden] of any float type, may be memory-mapped. `run`
    takes and gives the tensors of `profiles.networks.text_encoder` by name.
    """

    config: TextEncoder
    tokenizer: Tokenizer
    table: NDArray[np.generic]
    run: RunNetwork


@dataclass(frozen=True, eq=False)
class Conditioning:
    """What the UNet reads of one prompt.

    `states` float [77 * chunks, context], float32 as encoded; `pooled` float32 [projection], None
    for SD1.5; `tokens_cut`: how many tokens of the prompt were left out (compat diffusers only).
    """

    states: NDArray[np.floating[Any]]
    pooled: NDArray[np.float32] | None
    tokens_cut: int = 0

    @property
    def chunks(self) -> int:
        """Its length in chunks of 77 tokens."""
        return len(self.states) // CHUNK

    def zeroed(self) -> "Conditioning":
        """The same shapes filled with zeros: what some tools use for an empty negative prompt."""
        pooled = None if self.pooled is None else np.zeros_like(self.pooled)
        return replace(self, states=np.zeros_like(self.states), pooled=pooled)


def encode(
    prompts: Sequence[Sequence[str]],
    encoders: Sequence[ClipEncoder],
    grammar: Grammar,
    layer: Layer,
) -> list[list[Conditioning]]:
    """Encodes prompts, each given as the texts it becomes by editing, usually one.

    All chunks of all prompts go in one call per encoder, up to 63 rows; the same text of a prompt
    is encoded once. A chunk is encoded on its own. A prompt's shorter texts get empty chunks.
    Chunks are joined along the sequence, encoders (SDXL: L, G) along the features; pooled is chunk
    0's of the last encoder, which weights leave as it is.
    How long a prompt may be is for `check_prompt` to say.
    """
    counts = [Counter(texts) for texts in prompts]
    encoded = [_encode(counts, encoder, grammar, layer) for encoder in encoders]
    found = []
    for texts, count, *parts in zip(prompts, counts, *encoded, strict=True):
        joined = dict(zip(count, map(_join, zip(*parts, strict=True)), strict=True))
        found.append([joined[text] for text in texts])
    return found


def pad_with(short: Conditioning, empty: Conditioning, chunks: int) -> Conditioning:
    """The conditioning with that of the empty prompt behind it: A1111's `pad_cond_uncond`."""
    missing = chunks - short.chunks
    if missing <= 0:
        return short
    return replace(short, states=np.concatenate([short.states, *[empty.states] * missing]))


def stretch(short: Conditioning, chunks: int) -> Conditioning:
    """The conditioning with its last vector repeated, as A1111 makes AND's prompts equally long."""
    missing = chunks * CHUNK - len(short.states)
    if not missing:
        return short
    last = np.repeat(short.states[-1:], missing, axis=0)
    return replace(short, states=np.concatenate([short.states, last]))


def gather(table: NDArray[np.generic], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Token embeddings [49408, hidden] and ids [rows, 77] to float32 [rows, 77, hidden]."""
    return np.asarray(table[rows], dtype=np.float32)


def time_ids(
    size: Size,
    *,
    original: Size | None = None,
    crop_top: int = 0,
    crop_left: int = 0,
    target: Size | None = None,
) -> NDArray[np.float32]:
    """SDXL's micro-conditioning, float32 [6], in pixels.

    Order: original height, original width, crop top, crop left, target height, target width.
    Original and target are the picture's own size unless given.
    """
    first, last = original or size, target or size
    ids = (first.height, first.width, crop_top, crop_left, last.height, last.width)
    return np.array(ids, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class _Framed:
    """A prompt's texts as rows of tokens for one encoder; `rows` may have the empty one behind."""

    counts: Mapping[str, int]
    cuts: Sequence[Pieces]
    chunks: int
    rows: Sequence[Row]
    weights: NDArray[np.float32]
    weighted: bool


def _encode(
    prompts: Sequence[Mapping[str, int]], encoder: ClipEncoder, grammar: Grammar, layer: Layer
) -> list[list[Conditioning]]:
    """The texts of each prompt as one encoder has them."""
    framed = [_frame(counts, encoder, grammar) for counts in prompts]
    states, pooled = _run(encoder, [row for one in framed for row in one.rows], layer)
    found, start = [], 0
    for one in framed:
        here = slice(start, start + len(one.rows))
        found.append(_weigh(one, states[here], None if pooled is None else pooled[here], grammar))
        start = here.stop
    return found


def _frame(counts: Mapping[str, int], encoder: ClipEncoder, grammar: Grammar) -> _Framed:
    cuts = [split(grammar.read(text, encoder.tokenizer), grammar.rule) for text in counts]
    chunks = max(len(cut.pieces) for cut in cuts)
    pad, rule = encoder.config.pad, grammar.rule
    pieces = [piece for cut in cuts for piece in (*cut.pieces, *[()] * (chunks - len(cut.pieces)))]
    rows = [frame(piece, pad, rule) for piece in pieces]
    weights = np.array([[token.weight for token in row] for row in rows], np.float32)
    weighted = bool((weights != 1).any())
    if weighted and rule == "comfy":
        rows.append(frame((), pad, rule))
    return _Framed(counts, cuts, chunks, rows, weights, weighted)


def _weigh(
    one: _Framed,
    states: NDArray[np.float32],
    pooled: NDArray[np.float32] | None,
    grammar: Grammar,
) -> list[Conditioning]:
    """A prompt's conditioning from the states of its rows."""
    count = len(one.cuts) * one.chunks
    shape = (len(one.cuts), one.chunks, CHUNK)
    found = states[:count].reshape(*shape, -1)
    if one.weighted:
        weights = one.weights.reshape(shape)
        if grammar.rule == "comfy":
            found = interpolate(found, weights, states[-1])
        elif grammar.emphasis == "Original":
            found = scale_and_restore_mean(found, weights, np.array([*one.counts.values()]))
        else:
            found = scale(found, weights)
    first = [None] * len(one.cuts) if pooled is None else pooled[: count : one.chunks]
    return [
        Conditioning(text.reshape(one.chunks * CHUNK, -1), vector, cut.cut)
        for text, vector, cut in zip(found, first, one.cuts, strict=True)
    ]


def _run(
    encoder: ClipEncoder, rows: Sequence[Row], layer: Layer
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    calls = [rows[start : start + ROWS.maximum] for start in range(0, len(rows), ROWS.maximum)]
    outputs = [encoder.run(_inputs(encoder, call, layer)) for call in calls]
    states = np.concatenate([np.asarray(out[layer.states], np.float32) for out in outputs])
    if encoder.config.projection is None:
        return states, None
    return states, np.concatenate([np.asarray(out["pooled"], np.float32) for out in outputs])


def _inputs(encoder: ClipEncoder, rows: Sequence[Row], layer: Layer) -> Tensors:
    embeds = gather(encoder.table, np.array([[token.id for token in row] for row in rows]))
    for row, tokens in enumerate(rows):
        for at, token in enumerate(tokens):
            if token.embedding is not None:
                embeds[row, at] = token.embedding.vectors[encoder.config.name][token.nth]
    return {
        "inputs_embeds": embeds,
        "end_index": np.array([end_index(row) for row in rows], dtype=np.int64),
        "clip_skip": np.array([layer.clip_skip], dtype=np.int64),
    }


def _join(parts: Sequence[Conditioning]) -> Conditioning:
    states = np.concatenate([part.states for part in parts], axis=-1)
    return Conditioning(states, parts[-1].pooled, max(part.tokens_cut for part in parts))


def check_prompt(text: str, tokenizer: Tokenizer, grammar: Grammar, max_chunks: int) -> None:
    """Raises UsageError for a prompt that is no text or has more chunks than a UNet takes."""
    cut = split(grammar.read(text, tokenizer), grammar.rule)
    if len(cut.pieces) > max_chunks:
        raise UsageError(
            "The prompt is too long.",
            note=f"{sum(map(len, cut.pieces))} tokens make {len(cut.pieces)} chunks of 75; "
            f"at most {max_chunks} are read.",
            hint="Shorten the prompt, or use compat diffusers, which reads the first 75 tokens.",
        )
