"""VAE names of single-file checkpoints: `first_stage_model.decoder.up.3.block.0.conv1.weight`.

The original layout counts the decoder's levels from the finest; diffusers, as they run, from the
coarsest. Its attention projections are 1x1 convolutions.
"""

import re

from sakuga.export.checkpoint.sources import Source, Table
from sakuga.profiles.families import Family
from sakuga.profiles.weights import vae_weights

PREFIX = "first_stage_model."

_ATTENTION = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
}


def ldm_vae_table(family: Family) -> Table:
    """Canonical VAE name to its place in a single file."""
    coarsest = len(family.vae.channels) - 1
    return {name: (_source(name, coarsest),) for name in vae_weights(family.vae)}


def _source(name: str, coarsest: int) -> Source:
    attention = re.fullmatch(r"(\w+)\.mid_block\.attentions\.0\.(.+)\.(weight|bias)", name)
    if attention is None:
        return Source(PREFIX + _plain(name, coarsest))
    half, part, leaf = attention.groups()
    key = f"{PREFIX}{half}.mid.attn_1.{_ATTENTION[part]}.{leaf}"
    is_projection = part != "group_norm" and leaf == "weight"
    return Source(key, "squeezed" if is_projection else "same")


def _plain(name: str, coarsest: int) -> str:
    name = re.sub(
        r"mid_block\.resnets\.(\d+)", lambda found: f"mid.block_{int(found[1]) + 1}", name
    )
    name = re.sub(r"up_blocks\.(\d+)", lambda found: f"up.{coarsest - int(found[1])}", name)
    for ours, theirs in (
        ("down_blocks.", "down."),
        (".resnets.", ".block."),
        (".downsamplers.0.", ".downsample."),
        (".upsamplers.0.", ".upsample."),
        (".conv_shortcut.", ".nin_shortcut."),
        (".conv_norm_out.", ".norm_out."),
    ):
        name = name.replace(ours, theirs)
    return name
