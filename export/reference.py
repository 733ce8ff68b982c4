"""The float32 torch modules a family's graphs are traced from and verified against.

Needs the `verify` extra. Parameter names are diffusers' own, so the graphs carry the names of
`profiles.weights`.
"""

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from sakuga.profiles.families import CHUNK, VOCABULARY, Family, TextEncoder


def unet_module(family: Family) -> UNet2DConditionModel:
    """The family's UNet, on the current default device."""
    config = family.unet
    down = ["DownBlock2D" if n == 0 else "CrossAttnDownBlock2D" for n in config.transformer_layers]
    time_ids = {}
    if config.time_id_width is not None:
        assert family.pooled is not None
        time_ids = {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": config.time_id_width,
            "projection_class_embeddings_input_dim": family.pooled + 6 * config.time_id_width,
        }
    return UNet2DConditionModel(
        sample_size=family.buckets[0].latent()[0],
        block_out_channels=config.channels,
        down_block_types=tuple(down),
        up_block_types=tuple(name.replace("Down", "Up") for name in reversed(down)),
        layers_per_block=config.resnets_per_level,
        cross_attention_dim=config.context,
        attention_head_dim=config.heads,
        transformer_layers_per_block=[max(1, n) for n in config.transformer_layers],
        use_linear_projection=config.linear_projection,
        **time_ids,
    ).eval()


def vae_module(family: Family) -> AutoencoderKL:
    """The family's VAE, on the current default device."""
    config = family.vae
    levels = len(config.channels)
    return AutoencoderKL(
        block_out_channels=config.channels,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=config.resnets_per_level,
        norm_num_groups=config.groups,
        latent_channels=4,
        scaling_factor=config.scaling_factor,
    ).eval()


class TextModule(torch.nn.Module):
    """A CLIP text model under the names of checkpoint files: `text_model.…`, `text_projection.…`."""

    def __init__(self, config: TextEncoder) -> None:
        super().__init__()
        self.text_model = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=VOCABULARY,
                max_position_embeddings=CHUNK,
                hidden_size=config.hidden,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                intermediate_size=config.intermediate,
                hidden_act=config.activation,
                eos_token_id=VOCABULARY - 1,
            )
        ).eval()
        self.text_projection = (
            torch.nn.Linear(config.hidden, config.projection, bias=False)
            if config.projection is not None
            else None
        )
