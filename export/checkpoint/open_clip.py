"""OpenCLIP bigG names of SDXL single files: `conditioner.embedders.1.model.ln_final.weight`.

OpenCLIP fuses query, key and value (`in_proj_weight`, rows in this order) and multiplies
`x @ text_projection`, while a Linear holds the transpose. A few tools write the projection as a
Linear already, under `text_projection.weight`.
"""

import re

from sakuga.export.checkpoint.sources import Operation, Source, Table
from sakuga.profiles.families import TextEncoder
from sakuga.profiles.weights import text_encoder_weights

PREFIX = "conditioner.embedders.1.model."

_OUTER: dict[str, tuple[Source, ...]] = {
    "text_model.embeddings.token_embedding.weight": (Source(PREFIX + "token_embedding.weight"),),
    "text_model.embeddings.position_embedding.weight": (Source(PREFIX + "positional_embedding"),),
    "text_model.final_layer_norm.weight": (Source(PREFIX + "ln_final.weight"),),
    "text_model.final_layer_norm.bias": (Source(PREFIX + "ln_final.bias"),),
    "text_projection.weight": (
        Source(PREFIX + "text_projection", "transposed"),
        Source(PREFIX + "text_projection.weight"),
    ),
}

_LAYER = {
    "self_attn.out_proj.": "attn.out_proj.",
    "layer_norm1.": "ln_1.",
    "layer_norm2.": "ln_2.",
    "mlp.fc1.": "mlp.c_fc.",
    "mlp.fc2.": "mlp.c_proj.",
}

_FUSED: dict[str, Operation] = {"q": "first third", "k": "second third", "v": "last third"}


def open_clip_table(config: TextEncoder) -> Table:
    """Canonical name of the second text encoder to its place in a single file."""
    return {
        name: _OUTER[name] if name in _OUTER else (_layer_source(name),)
        for name in text_encoder_weights(config)
    }


def _layer_source(name: str) -> Source:
    found = re.fullmatch(r"text_model\.encoder\.layers\.(\d+)\.((?:\w+\.)+)(weight|bias)", name)
    assert found is not None, f"{name} is no weight of a layer"
    layer, part, leaf = found.groups()
    block = f"{PREFIX}transformer.resblocks.{layer}."
    if part in _LAYER:
        return Source(block + _LAYER[part] + leaf)
    letter = part.removeprefix("self_attn.")[0]
    return Source(f"{block}attn.in_proj_{leaf}", _FUSED[letter])
