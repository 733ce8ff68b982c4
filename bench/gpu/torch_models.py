"""diffusers' modules with the synthetic weights of `sakuga.export.synthetic`, made in place.

The weights are functions of a seed, so no checkpoint is written or read: tensors are drawn on all
cores and go straight to the GPU. Both Sakuga's stand-in networks and the rival pipeline use these
modules, so both have the same weights.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch

from sakuga.export.reference import TextModule, unet_module, vae_module
from sakuga.export.synthetic_weights import draw
from sakuga.profiles.families import Family

SEED = 0


@dataclass(frozen=True, eq=False)
class Models:
    """UNet2DConditionModel, AutoencoderKL, and text encoders by name."""

    family: Family
    unet: Any
    vae: Any
    text: dict[str, TextModule]


def synthetic_models(family: Family, device: str) -> Models:
    """On the processor in float32, for tests; else in float16."""
    dtype = torch.float32 if device == "cpu" else torch.float16
    with torch.device("meta"):
        models = Models(
            family,
            unet_module(family),
            vae_module(family),
            {config.name: TextModule(config) for config in family.text_encoders},
        )
    parts = [(models.unet, "unet"), (models.vae, "vae")]
    parts += [(module, name) for name, module in models.text.items()]
    with ThreadPoolExecutor() as pool:
        for module, component in parts:
            module.to(dtype).to_empty(device=device)
            for name, buffer in module.named_buffers():
                assert name.endswith("position_ids"), name
                buffer.copy_(torch.arange(buffer.shape[-1], device=device))
            list(pool.map(lambda named: _fill(*named), _targets(module, component)))
    return models


def _targets(module: torch.nn.Module, component: str) -> list[tuple[str, str, torch.Tensor]]:
    return [
        (component, name, tensor)
        for name, tensor in module.state_dict().items()
        if not name.endswith("position_ids")
    ]


def _fill(component: str, name: str, target: torch.Tensor) -> None:
    target.copy_(torch.from_numpy(draw(SEED, component, name, tuple(target.shape))))
