"""The float32 torch modules a family's graphs are traced from and verified against.

Needs the `verify` extra. Parameter names are those of `profiles.weights`.
"""

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from sakuga.export.diffusers_configs import text_encoder_config, unet_config, vae_config
from sakuga.profiles.families import Family, TextEncoder


def unet_module(family: Family) -> UNet2DConditionModel:
    """The family's UNet, on the current default device."""
    return UNet2DConditionModel.from_config(unet_config(family)).eval()


def vae_module(family: Family) -> AutoencoderKL:
    """The family's VAE, on the current default device."""
    return AutoencoderKL.from_config(vae_config(family.vae, family.buckets[0].width)).eval()


class TextModule(torch.nn.Module):
    """A CLIP text model under the names of checkpoint files: `text_model.…`, `text_projection.…`."""

    def __init__(self, config: TextEncoder) -> None:
        super().__init__()
        self.text_model = CLIPTextModel(CLIPTextConfig(**text_encoder_config(config))).eval()
        self.text_projection = (
            torch.nn.Linear(config.hidden, config.projection, bias=False)
            if config.projection is not None
            else None
        )
