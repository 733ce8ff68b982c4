"""UNet names of single-file checkpoints: `model.diffusion_model.input_blocks.4.1.norm.weight`.

The original layout numbers its blocks in one row per direction: `input_blocks.0` is the first
convolution, then come each level's residual blocks and its downsampler; `output_blocks` has no
number of its own for an upsampler, it sits in the level's last block.
"""

from sakuga.export.checkpoint.sources import Source, Table
from sakuga.profiles.families import Family, UNet
from sakuga.profiles.weights import unet_weights

PREFIX = "model.diffusion_model."
EMA_PREFIX = "model_ema.diffusion_model"

_OUTER = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}


def ldm_unet_table(family: Family) -> Table:
    """Canonical UNet name to its place in a single file."""
    modules = _OUTER | _down_modules(family.unet) | _up_modules(family.unet)
    names = unet_weights(family.unet, family.pooled)
    return {name: (Source(PREFIX + _ldm_name(name, modules)),) for name in names}


def ema_unet_table(family: Family) -> Table:
    """Canonical UNet name to the place of its running average: the same key without its dots.

    Source: `LitEma` of latent-diffusion; diffusers' `extract_ema` reads the same keys.
    """
    return {
        name: (Source(EMA_PREFIX + source.key.removeprefix(PREFIX).replace(".", "")),)
        for name, (source,) in ldm_unet_table(family).items()
    }


def _ldm_name(name: str, modules: dict[str, str]) -> str:
    module = name
    while module not in modules:
        module, dot, _ = module.rpartition(".")
        assert dot, f"no module of {name} is in the table"
    rest = name.removeprefix(module)
    if ".resnets." in name:
        _, part, leaf = rest.split(".")
        rest = f".{_RESNET[part]}.{leaf}"
    return modules[module] + rest


def _down_modules(unet: UNet) -> dict[str, str]:
    modules: dict[str, str] = {}
    for level in range(len(unet.channels)):
        first = 1 + level * (unet.resnets_per_level + 1)
        for index in range(unet.resnets_per_level):
            modules[f"down_blocks.{level}.resnets.{index}"] = f"input_blocks.{first + index}.0"
            modules[f"down_blocks.{level}.attentions.{index}"] = f"input_blocks.{first + index}.1"
        last = first + unet.resnets_per_level
        modules[f"down_blocks.{level}.downsamplers.0.conv"] = f"input_blocks.{last}.0.op"
    return modules


def _up_modules(unet: UNet) -> dict[str, str]:
    modules: dict[str, str] = {}
    blocks = unet.resnets_per_level + 1
    for index, layers in enumerate(reversed(unet.transformer_layers)):
        first = index * blocks
        for block in range(blocks):
            modules[f"up_blocks.{index}.resnets.{block}"] = f"output_blocks.{first + block}.0"
            modules[f"up_blocks.{index}.attentions.{block}"] = f"output_blocks.{first + block}.1"
        place = 2 if layers > 0 else 1  # behind the attention where the level has one
        last = first + blocks - 1
        modules[f"up_blocks.{index}.upsamplers.0.conv"] = f"output_blocks.{last}.{place}.conv"
    return modules
