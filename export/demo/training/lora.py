"""Stage 4: a LoRA of one character, in kohya's format.

Kosame has aqua twintails, red eyes and a white school uniform. The LoRA brings her whatever the
prompt says of the place; it is trained on the frozen UNet's attention and feed-forward layers
(Hu et al. 2021, arXiv:2106.09685).
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sakuga.export.checkpoint.ldm_unet import PREFIX, ldm_unet_table
from sakuga.export.checkpoint.safetensors_writer import PlannedTensor, write_safetensors
from sakuga.export.demo.captions import caption
from sakuga.export.demo.painter import paint_clean
from sakuga.export.demo.scene import Scene
from sakuga.export.demo.training.device import DEVICE
from sakuga.export.demo.training.pictures import scene_number
from sakuga.export.demo.training.progress import Run
from sakuga.export.demo.training.text import TextEncoders, stacked
from sakuga.export.demo.training.tokens import tokenized
from sakuga.export.demo.training.unet import BINDING, noise_loss
from sakuga.export.demo.training.vae import latent_means
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import SDXL_DEMO

SIZE = Size(256, 256)
LAYERS = ("to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out")
UNSAID = {"hair", "style", "eyes", "garment", "cloth", "person", "ribbon", "beanie", "glasses"}


@dataclass(frozen=True)
class LoraOptions:
    """`rank` and `alpha` of every pair; `steps` of `batch` of `pictures`."""

    rank: int = 8
    alpha: float = 8.0
    pictures: int = 240
    steps: int = 400
    batch: int = 8
    rate: float = 2e-3
    seed: int = 4


class Adapted(nn.Module):
    """A frozen linear layer and the low-rank change beside it."""

    def __init__(self, base: nn.Linear, options: LoraOptions) -> None:
        super().__init__()
        self.base, self.scale = base, options.alpha / options.rank
        self.down = nn.Linear(base.in_features, options.rank, bias=False)
        self.up = nn.Linear(options.rank, base.out_features, bias=False)
        nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
        nn.init.zeros_(self.up.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The base layer's output plus scale · up(down(x))."""
        out: torch.Tensor = self.base(x) + self.scale * self.up(self.down(x))
        return out


def kosame(scene: Scene) -> Scene:
    """The scene with the character in it."""
    return replace(
        scene, person="1girl", hair="aqua hair", style="twintails", eyes="red eyes",
        garment="school uniform", cloth="white", accessories=(), quality="best",
    )  # fmt: skip


def train_lora(
    folder: Path,
    vae: Any,  # noqa: ANN401 (diffusers' modules)
    encoders: TextEncoders,
    unet: Any,  # noqa: ANN401
    options: LoraOptions,
) -> dict[str, Adapted]:
    """The trained pairs by canonical name of their layer; goes on from what `folder` holds.

    `unet` is changed, so this must be the caller's last use of it.
    """
    torch.manual_seed(options.seed)
    run, adapted = Run(folder, "lora", options), _adapt(unet, options)
    scenes = [kosame(scene_number(options.seed, index)) for index in range(options.pictures)]
    latents = _latents(vae, scenes)
    trained = [p for layer in adapted.values() for p in (layer.down.weight, layer.up.weight)]
    optimizer = torch.optim.AdamW(trained, options.rate, weight_decay=0.0)
    start = 0
    if state := run.load():
        for parameter, values in zip(trained, state["pairs"], strict=True):
            parameter.data.copy_(values)
        optimizer.load_state_dict(state["optimizer"])
        start = state["step"]
    for step in range(start, options.steps):
        generator = np.random.default_rng((options.seed, step))
        torch.manual_seed(options.seed * 1_000_003 + step)
        chosen = generator.integers(len(scenes), size=options.batch)
        loss = _loss(unet, encoders, latents[chosen], [scenes[i] for i in chosen], generator)
        optimizer.zero_grad()
        torch.autograd.backward([loss])
        optimizer.step()
        if step % 50 == 0:
            run.log({"step": step, "loss": loss.item()})
        if run.due() or step + 1 == options.steps:
            state = {"pairs": [p.detach() for p in trained], "optimizer": optimizer.state_dict()}
            run.save(state | {"step": step + 1})
    return adapted


@torch.no_grad()
def _latents(vae: Any, scenes: list[Scene]) -> torch.Tensor:  # noqa: ANN401
    pictures = np.stack([np.asarray(paint_clean(scene, SIZE)) for scene in scenes])
    return latent_means(vae, pictures) * SDXL_DEMO.vae.scaling_factor


def _adapt(unet: nn.Module, options: LoraOptions) -> dict[str, Adapted]:
    """Put a pair beside every chosen layer; by the layer's canonical name."""
    unet.requires_grad_(False)
    found = {
        name: module
        for name, module in unet.named_modules()
        if isinstance(module, nn.Linear) and name.endswith(LAYERS) and "attentions" in name
    }
    adapted = {name: Adapted(module, options).to(DEVICE) for name, module in found.items()}
    for name, layer in adapted.items():
        parent, _, child = name.rpartition(".")
        setattr(unet.get_submodule(parent), child, layer)
    return adapted


def _loss(
    unet: Any,  # noqa: ANN401
    encoders: TextEncoders,
    latents: torch.Tensor,
    scenes: list[Scene],
    generator: np.random.Generator,
) -> torch.Tensor:
    tags = [caption(scene, generator) for scene in scenes]
    left = [[tag for tag in each if not UNSAID & set(tag[1])] for each in tags]
    with torch.no_grad():
        states, pooled = encoders(*stacked([tokenized(each, generator) for each in left]))
    return noise_loss(unet, SIZE, latents, states, pooled, BINDING)


def write_lora(adapted: dict[str, Adapted], options: LoraOptions, out: Path) -> None:
    """Write the pairs in kohya's format, under the names SDXL's files use: those of the original
    layout, `lora_unet_input_blocks_3_1_…`."""
    table = ldm_unet_table(SDXL_DEMO)
    planned: dict[str, PlannedTensor] = {}

    def plan(name: str, array: Any) -> None:  # noqa: ANN401 (numpy array of any shape)
        planned[name] = PlannedTensor("F16", array.shape, lambda: array)

    for name, layer in adapted.items():
        (source,) = table[f"{name}.weight"]
        module = source.key.removeprefix(PREFIX).removesuffix(".weight")
        key = "lora_unet_" + module.replace(".", "_")
        plan(f"{key}.lora_down.weight", layer.down.weight.detach().cpu().numpy())
        plan(f"{key}.lora_up.weight", layer.up.weight.detach().cpu().numpy())
        plan(f"{key}.alpha", np.array(options.alpha, np.float32))
    metadata = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(options.rank),
        "ss_network_alpha": str(options.alpha),
        "ss_base_model_version": "sdxl_base_v1-0",
        "ss_output_name": out.stem,
    }
    write_safetensors(out, planned, metadata)
