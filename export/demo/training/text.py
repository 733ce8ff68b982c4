"""Stage 2: both text encoders learn, alone, to say what a caption asks for.

Two readers, thrown away afterwards, hold them to it: one reads every attribute from the pooled
vector, one reads what a tag says from the states at its last token, which are what the UNet's
attention will see; of a tag that says two things, such as `red sweater`, the colour of the cloth.
So `red hair` and `red sweater` are apart before a UNet starts. Then the encoders are frozen.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from sakuga.export.demo.captions import ATTRIBUTES, Tag, caption, said
from sakuga.export.demo.scene import random_scene
from sakuga.export.demo.training.device import DEVICE
from sakuga.export.demo.training.progress import Run, cosine
from sakuga.export.demo.training.tokens import Tokens, known_tokens, tokenized
from sakuga.export.reference import TextModule
from sakuga.profiles.families import SDXL_DEMO, VOCABULARY

_VALUES = {(key, value): i + 1 for i, (key, value) in enumerate(
    (key, value) for key, values in ATTRIBUTES.items() for value in values
)}  # fmt: skip


@dataclass(frozen=True)
class TextOptions:
    """`steps` of `batch` captions; learning rate."""

    steps: int = 1500
    batch: int = 64
    rate: float = 2e-3
    seed: int = 2


class TextEncoders(torch.nn.Module):
    """Both encoders, giving what SDXL's UNet reads of a caption.

    Their embeddings hold the known tokens alone: row 0, all zeros, stands for every other token.
    """

    rows: torch.Tensor  # row of each of the 49408 tokens

    def __init__(self) -> None:
        super().__init__()
        first, second = SDXL_DEMO.text_encoders
        self.text_encoder, self.text_encoder_2 = TextModule(first), TextModule(second)
        rows = torch.zeros(VOCABULARY, dtype=torch.int64)
        rows[sorted(known_tokens())] = torch.arange(len(known_tokens())) + 1
        self.register_buffer("rows", rows, persistent=False)
        for encoder in (self.text_encoder, self.text_encoder_2):
            embeddings = encoder.text_model.embeddings
            width = embeddings.token_embedding.weight.shape[1]
            embeddings.token_embedding = torch.nn.Embedding(
                len(known_tokens()) + 1, width, padding_idx=0
            )
            torch.nn.init.normal_(embeddings.token_embedding.weight.data[1:], 0, 0.5)
            torch.nn.init.normal_(embeddings.position_embedding.weight.data, 0, 0.1)

    def weights(self) -> dict[str, dict[str, torch.Tensor]]:
        """Tensors of both encoders by canonical name, with the whole vocabulary."""
        found = {}
        for name in ("text_encoder", "text_encoder_2"):
            tensors = getattr(self, name).state_dict()
            table = "text_model.embeddings.token_embedding.weight"
            found[name] = tensors | {table: tensors[table][self.rows]}
        return found

    def forward(self, ids: torch.Tensor, ends: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids [rows, 77] padded with END, first ends [rows] to states [rows, 77, 96], pooled."""
        positions = torch.arange(ids.shape[1], device=ids.device)
        second_ids = torch.where(positions > ends[:, None], 0, ids)
        first: Any = self.text_encoder.text_model
        second: Any = self.text_encoder_2.text_model
        a = first(self.rows[ids], output_hidden_states=True)
        b = second(self.rows[second_ids], output_hidden_states=True)
        states = torch.cat([a.hidden_states[-2], b.hidden_states[-2]], dim=-1)
        last = b.last_hidden_state[torch.arange(len(ids), device=ids.device), ends]
        assert self.text_encoder_2.text_projection is not None
        return states, self.text_encoder_2.text_projection(last)


class Readers(torch.nn.Module):
    """What is asked of the encoders."""

    def __init__(self) -> None:
        super().__init__()
        pooled = SDXL_DEMO.pooled
        assert pooled is not None
        self.attributes = torch.nn.ModuleDict(
            {key: torch.nn.Linear(pooled, len(values) + 1) for key, values in ATTRIBUTES.items()}
        )
        self.tags = torch.nn.Linear(SDXL_DEMO.unet.context, len(_VALUES) + 1)


def train_text(folder: Path, options: TextOptions) -> TextEncoders:
    """The trained, frozen encoders; goes on from what `folder` holds."""
    torch.manual_seed(options.seed)
    run, encoders, readers = Run(folder, "text", options), TextEncoders().train(), Readers()
    both = torch.nn.ModuleList([encoders, readers]).to(DEVICE)
    optimizer = torch.optim.AdamW(both.parameters(), options.rate, betas=(0.9, 0.98))
    start = 0
    if state := run.load():
        both.load_state_dict(state["modules"])
        optimizer.load_state_dict(state["optimizer"])
        start = state["step"]
    for step in range(start, options.steps):
        for group in optimizer.param_groups:
            group["lr"] = options.rate * cosine(step, options.steps)
        figures = _step(encoders, readers, optimizer, step, options)
        if step % 50 == 0 or step + 1 == options.steps:
            run.log({"step": step, **figures})
        if run.due() or step + 1 == options.steps:
            state = {"modules": both.state_dict(), "optimizer": optimizer.state_dict()}
            run.save(state | {"step": step + 1})
    return encoders.eval().requires_grad_(False)


def _step(
    encoders: TextEncoders,
    readers: Readers,
    optimizer: torch.optim.Optimizer,
    step: int,
    options: TextOptions,
) -> dict[str, float]:
    batch = [_example((options.seed, step, row)) for row in range(options.batch)]
    ids, ends = stacked([tokens for _, tokens in batch])
    # Attention is causal: what stands behind the last end of text changes nothing before it.
    states, pooled = encoders(ids[:, : int(ends.max()) + 1], ends)
    losses, right = [], []
    for key, reader in readers.attributes.items():
        wanted = torch.tensor([said(tags)[key] for tags, _ in batch], device=DEVICE)
        logits = reader(pooled)
        losses.append(functional.cross_entropy(logits, wanted))
        right.append((logits.argmax(-1) == wanted).float().mean().item())
    rows, places, meanings = _tag_targets(batch)
    tag_logits = readers.tags(states[rows, places])
    tag_loss = functional.cross_entropy(tag_logits, meanings)
    size = states.square().mean() + pooled.square().mean()
    loss = torch.stack(losses).sum() + 2 * tag_loss + 0.01 * size
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_([*encoders.parameters(), *readers.parameters()], 1.0)
    optimizer.step()
    return {
        "loss": loss.item(),
        "worst_attribute": min(right),
        "tags": (tag_logits.argmax(-1) == meanings).float().mean().item(),
        "size": size.item(),
    }


def stacked(tokens: list[Tokens]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids [rows, 77] and ends [rows], where training runs."""
    ids = torch.from_numpy(np.stack([each.ids for each in tokens]))
    return ids.to(DEVICE), torch.tensor([each.end for each in tokens], device=DEVICE)


def _example(seed: tuple[int, ...]) -> tuple[list[Tag], Tokens]:
    generator = np.random.default_rng(seed)
    tags = caption(random_scene(generator), generator)
    tokens = tokenized(tags, generator)
    return tags[: len(tokens.tag_ends)], tokens


def _tag_targets(
    batch: list[tuple[list[Tag], Tokens]],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    found = [
        (row, place, max((_VALUES[item] for item in tag[1].items()), default=0))
        for row, (tags, tokens) in enumerate(batch)
        for tag, place in zip(tags, tokens.tag_ends, strict=True)
    ]
    rows, places, meanings = torch.tensor(found, device=DEVICE).T
    return rows, places, meanings
