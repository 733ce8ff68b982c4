"""Prompts to conditioning: embedding lookup, the text networks, joining their states."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.errors import UsageError
from sakuga.engine.text.chunks import LongPrompt, end_index, frame, split
from sakuga.engine.text.clip_skip import Layer
from sakuga.engine.text.tokenizer import Tokenizer
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import TextEncoder
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

    `states` float32 [77 * chunks, context]; `pooled` float32 [projection], None for SD1.5;
    `tokens_cut`: how many tokens of the prompt were left out (compat diffusers only).
    """

    states: NDArray[np.float32]
    pooled: NDArray[np.float32] | None
    tokens_cut: int = 0

    def zeroed(self) -> "Conditioning":
        """The same shapes filled with zeros: what some tools use for an empty negative prompt."""
        pooled = None if self.pooled is None else np.zeros_like(self.pooled)
        return replace(self, states=np.zeros_like(self.states), pooled=pooled)


def encode_prompts(
    prompts: Sequence[str], encoders: Sequence[ClipEncoder], rule: LongPrompt, layer: Layer
) -> list[Conditioning]:
    """Encodes prompts, all chunks of all prompts in one call per encoder (63 rows at most).

    A chunk is encoded on its own. Chunks are joined along the sequence, encoders (SDXL: L, G)
    along the features; pooled is chunk 0's of the last encoder.
    How long a prompt may be is for `check_prompt` to say.
    """
    encoded = [_encode(prompts, encoder, rule, layer) for encoder in encoders]
    return [_join(parts) for parts in zip(*encoded, strict=True)]


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


def _encode(
    prompts: Sequence[str], encoder: ClipEncoder, rule: LongPrompt, layer: Layer
) -> list[Conditioning]:
    cuts = [split([encoder.tokenizer.encode(prompt)], rule) for prompt in prompts]
    pad = encoder.config.pad
    rows = [frame(piece, pad, rule) for cut in cuts for piece in cut.pieces]
    states, pooled = _run(encoder, rows, layer)
    conditionings, start = [], 0
    for cut in cuts:
        stop = start + len(cut.pieces)
        joined = states[start:stop].reshape(-1, encoder.config.hidden)
        first = None if pooled is None else pooled[start]
        conditionings.append(Conditioning(joined, first, cut.cut))
        start = stop
    return conditionings


def _run(
    encoder: ClipEncoder, rows: Sequence[Sequence[int]], layer: Layer
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    calls = [rows[start : start + ROWS.maximum] for start in range(0, len(rows), ROWS.maximum)]
    outputs = [encoder.run(_inputs(encoder, call, layer)) for call in calls]
    states = np.concatenate([np.asarray(out[layer.states], np.float32) for out in outputs])
    if encoder.config.projection is None:
        return states, None
    return states, np.concatenate([np.asarray(out["pooled"], np.float32) for out in outputs])


def _inputs(encoder: ClipEncoder, rows: Sequence[Sequence[int]], layer: Layer) -> Tensors:
    ids = np.array(rows, dtype=np.int64)
    return {
        "inputs_embeds": gather(encoder.table, ids),
        "end_index": np.array([end_index(row) for row in rows], dtype=np.int64),
        "clip_skip": np.array([layer.clip_skip], dtype=np.int64),
    }


def _join(parts: Sequence[Conditioning]) -> Conditioning:
    states = np.concatenate([part.states for part in parts], axis=-1)
    return Conditioning(states, parts[-1].pooled, max(part.tokens_cut for part in parts))


def check_prompt(prompt: str, tokenizer: Tokenizer, rule: LongPrompt, max_chunks: int) -> None:
    """Raises UsageError for a prompt that is no text or has more chunks than a UNet takes."""
    cut = split([tokenizer.encode(prompt)], rule)
    if len(cut.pieces) > max_chunks:
        raise UsageError(
            "The prompt is too long.",
            note=f"{sum(map(len, cut.pieces))} tokens make {len(cut.pieces)} chunks of 75; "
            f"at most {max_chunks} are read.",
            hint="Shorten the prompt, or use compat diffusers, which reads the first 75 tokens.",
        )
