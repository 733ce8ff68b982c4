"""What the three tools give a UNet for a prompt, in float32, from their published rules.

Text is read by `prompt_rules`, tokens and networks are transformers' own.
"""

from collections.abc import Sequence
from typing import Any

import torch
from prompt_rules import BREAK, Pieces, a1111_chunks, comfy_chunks, comfy_pieces, pieces
from transformers import CLIPTokenizer

from sakuga.engine.text.vocabulary import clip_merges, clip_vocabulary

BEGIN, END, COMMA = 49406, 49407, 267

Token = tuple[int, float]  # id and weight
Conditioning = tuple[torch.Tensor, torch.Tensor | None]  # states [77 * chunks, context], pooled


def tokenizer(pad: str) -> Any:  # noqa: ANN401 (its annotations refuse what it takes)
    kind: Any = CLIPTokenizer
    merges = clip_merges()
    return kind(clip_vocabulary(merges), merges, pad_token=pad, model_max_length=77)


class PublishedConditioning:
    """The rules over a diffusers pipeline's text encoders.

    SDXL: CLIP-L's and CLIP-G's states behind their last layer but one, without the final norm, side
    by side, and CLIP-G's pooled vector; CLIP-G pads with 0. SD1.5: the states behind the norm.
    """

    def __init__(self, pipeline: Any) -> None:  # noqa: ANN401
        self._sdxl = hasattr(pipeline, "text_encoder_2")
        self._encoders = [pipeline.text_encoder]
        self._encoders += [pipeline.text_encoder_2] if self._sdxl else []
        self._tokenizer = tokenizer("<|endoftext|>")

    def __call__(self, prompt: str, tool: str) -> Conditioning:
        """The conditioning of a prompt in A1111 ("Original" emphasis), ComfyUI or diffusers."""
        rule = {"a1111": self._a1111, "comfy": self._comfy, "diffusers": self._diffusers}[tool]
        with torch.inference_mode():
            found = [rule(prompt, number) for number in range(len(self._encoders))]
        states = torch.cat([each for each, _ in found], dim=-1).flatten(0, 1)
        return states, found[-1][1] if self._sdxl else None

    def tokens(self, piece: tuple[str, float]) -> list[Token]:
        """A piece's ids, each with its weight."""
        text, weight = piece
        return [
            (token, weight) for token in self._tokenizer(text, add_special_tokens=False).input_ids
        ]

    def _a1111(self, prompt: str, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """z · w, and each chunk brought back to the mean it had."""
        segments: list[Pieces] = [[]]
        for piece in pieces(prompt):
            if piece == BREAK:
                segments.append([])
            else:
                segments[-1].append(piece)
        tokens = [
            [each for piece in segment for each in self.tokens(piece)] for segment in segments
        ]
        chunks = [
            chunk
            for segment in tokens
            for chunk in a1111_chunks(segment, [token == COMMA for token, _ in segment])
        ]
        if len(chunks) > 1 and not tokens[-1]:
            chunks.pop()  # nothing behind the last BREAK
        z, pooled, weights = self._encode(chunks, number)
        scaled = z * weights
        restored = [one * (was.mean() / one.mean()) for one, was in zip(scaled, z, strict=True)]
        return torch.stack(restored), pooled

    def _comfy(self, prompt: str, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """e + (z − e) · w, e being the encoding of the empty prompt."""
        words = [self.tokens(piece) for piece in comfy_pieces(prompt)]
        z, pooled, weights = self._encode(comfy_chunks(words), number)
        empty, _, _ = self._encode([[]], number)
        return torch.where(weights == 1, z, empty + (z - empty) * weights), pooled

    def _diffusers(self, prompt: str, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The text as it stands, cut off at 77; its second tokenizer pads with "!"."""
        read = tokenizer("!") if number else self._tokenizer
        ids = read(prompt, padding="max_length", truncation=True, return_tensors="pt").input_ids
        return self._run(ids, number)

    def _encode(
        self, chunks: Sequence[Sequence[Token]], number: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """States [chunks, 77, hidden], the first chunk's pooled, weights [chunks, 77, 1]."""
        filler = 0 if number else END
        framed = [[(BEGIN, 1.0), *chunk, (END, 1.0)] for chunk in chunks]
        rows = [row + [(filler, 1.0)] * (77 - len(row)) for row in framed]
        weights = torch.tensor([[weight for _, weight in row] for row in rows])
        z, pooled = self._run(torch.tensor([[token for token, _ in row] for row in rows]), number)
        return z, pooled, weights[..., None]

    def _run(self, ids: torch.Tensor, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        out = self._encoders[number](input_ids=ids, output_hidden_states=True)
        if not self._sdxl:
            return out.last_hidden_state, out.pooler_output
        return out.hidden_states[-2], out.text_embeds[0] if number else out.pooler_output
