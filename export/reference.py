"""The float32 torch modules a family's graphs are traced from and verified against.

Needs the `verify` extra. Parameter names are those of `profiles.weights`.
"""

from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from sakuga.export.diffusers_configs import text_encoder_config, unet_config, vae_config
from sakuga.profiles.families import Family, TextEncoder

# diffusers' annotations are partly wrong, so its modules go by Any.
_UNET: Any = UNet2DConditionModel
_VAE: Any = AutoencoderKL
_TEXT_CONFIG: Any = CLIPTextConfig


def unet_module(family: Family) -> Any:  # noqa: ANN401
    """The family's UNet2DConditionModel, on the current default device."""
    return _UNET.from_config(unet_config(family)).eval()


def vae_module(family: Family) -> Any:  # noqa: ANN401
    """The family's AutoencoderKL, on the current default device."""
    return _VAE.from_config(vae_config(family.vae, family.buckets[0].width)).eval()


class TextModule(torch.nn.Module):
    """A CLIP text model with the names of checkpoint files: `text_model.…`, `text_projection.…`."""

    def __init__(self, config: TextEncoder) -> None:
        super().__init__()
        self.text_model = CLIPTextModel(_TEXT_CONFIG(**text_encoder_config(config))).eval()
        self.text_projection = (
            torch.nn.Linear(config.hidden, config.projection, bias=False)
            if config.projection is not None
            else None
        )
