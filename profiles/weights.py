"""The weights of a family: every parameter's canonical name and exact shape.

The names are those of the files which diffusers and transformers write (`down_blocks.0.resnets.0
.conv1.weight`, `text_model.encoder.layers.0.mlp.fc1.bias`). Everything else in Sakuga maps to
them: single-file checkpoints, LoRAs and the initialisers of the graphs.
"""

from sakuga.profiles.families import (
    CHUNK,
    LATENT_CHANNELS,
    VAE,
    VOCABULARY,
    Family,
    TextEncoder,
    UNet,
)
from sakuga.profiles.networks import TIME_IDS

Shape = tuple[int, ...]
Shapes = dict[str, Shape]


def weights(family: Family) -> dict[str, Shapes]:
    """Shapes by component (`text_encoder`, `text_encoder_2`, `unet`, `vae`) and canonical name.

    Linear weights are [out, in], convolutions [out, in, height, width].
    """
    encoders = {config.name: text_encoder_weights(config) for config in family.text_encoders}
    return {
        **encoders,
        "unet": unet_weights(family.unet, family.pooled),
        "vae": vae_weights(family.vae),
    }


def text_encoder_weights(config: TextEncoder) -> Shapes:
    """A CLIP text encoder; `position_ids`, a constant, is no weight."""
    shapes: Shapes = {
        "text_model.embeddings.token_embedding.weight": (VOCABULARY, config.hidden),
        "text_model.embeddings.position_embedding.weight": (CHUNK, config.hidden),
    }
    for layer in range(config.layers):
        shapes |= _clip_layer(f"text_model.encoder.layers.{layer}", config)
    shapes |= _norm("text_model.final_layer_norm", config.hidden)
    if config.projection is not None:
        shapes["text_projection.weight"] = (config.projection, config.hidden)
    return shapes


def unet_weights(config: UNet, pooled: int | None) -> Shapes:
    """A UNet2DConditionModel. `pooled` is the width of the pooled text embedding it takes."""
    first, time = config.channels[0], time_width(config)
    shapes = _conv("conv_in", config.inputs, first, 3)
    shapes |= _embedding_mlp("time_embedding", first, time)
    if pooled is not None and config.time_id_width is not None:
        shapes |= _embedding_mlp("add_embedding", pooled + TIME_IDS * config.time_id_width, time)
    for level in range(len(config.channels)):
        shapes |= _down_level(config, level)
    shapes |= _unet_middle(config)
    for index in range(len(config.channels)):
        shapes |= _up_level(config, index)
    shapes |= _norm("conv_norm_out", first)
    shapes |= _conv("conv_out", first, LATENT_CHANNELS, 3)
    return shapes


def vae_weights(config: VAE) -> Shapes:
    """An AutoencoderKL: encoder, decoder and the 1x1 convolutions around the latent."""
    shapes = _vae_encoder(config) | _vae_decoder(config)
    shapes |= _conv("quant_conv", 2 * LATENT_CHANNELS, 2 * LATENT_CHANNELS, 1)
    shapes |= _conv("post_quant_conv", LATENT_CHANNELS, LATENT_CHANNELS, 1)
    return shapes


def time_width(config: UNet) -> int:
    """Width of the timestep embedding every residual block takes."""
    return 4 * config.channels[0]


def middle_layers(config: UNet) -> int:
    """Transformer layers of the UNet's middle: as many as the coarsest level with attention."""
    return next(layers for layers in reversed(config.transformer_layers) if layers > 0)


def _clip_layer(name: str, config: TextEncoder) -> Shapes:
    hidden = config.hidden
    shapes: Shapes = {}
    for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
        shapes |= _linear(f"{name}.self_attn.{part}", hidden, hidden)
    shapes |= _norm(f"{name}.layer_norm1", hidden)
    shapes |= _linear(f"{name}.mlp.fc1", hidden, config.intermediate)
    shapes |= _linear(f"{name}.mlp.fc2", config.intermediate, hidden)
    shapes |= _norm(f"{name}.layer_norm2", hidden)
    return shapes


def _down_level(config: UNet, level: int) -> Shapes:
    name, width = f"down_blocks.{level}", config.channels[level]
    layers, time = config.transformer_layers[level], time_width(config)
    shapes: Shapes = {}
    for index in range(config.resnets_per_level):
        inputs = config.channels[max(level - 1, 0)] if index == 0 else width
        shapes |= _resnet(f"{name}.resnets.{index}", inputs, width, time)
        if layers > 0:
            shapes |= _transformer(f"{name}.attentions.{index}", width, layers, config)
    if level < len(config.channels) - 1:
        shapes |= _conv(f"{name}.downsamplers.0.conv", width, width, 3)
    return shapes


def _unet_middle(config: UNet) -> Shapes:
    width, time = config.channels[-1], time_width(config)
    shapes = _resnet("mid_block.resnets.0", width, width, time)
    shapes |= _transformer("mid_block.attentions.0", width, middle_layers(config), config)
    return shapes | _resnet("mid_block.resnets.1", width, width, time)


def _up_level(config: UNet, index: int) -> Shapes:
    """Level `index` counted from the coarsest. Each residual block also reads one skip."""
    last = len(config.channels) - 1
    level, name = last - index, f"up_blocks.{index}"
    width, layers = config.channels[level], config.transformer_layers[level]
    shapes: Shapes = {}
    for block in range(config.resnets_per_level + 1):
        before = config.channels[min(level + 1, last)] if block == 0 else width
        skip = width if block < config.resnets_per_level else config.channels[max(level - 1, 0)]
        shapes |= _resnet(f"{name}.resnets.{block}", before + skip, width, time_width(config))
        if layers > 0:
            shapes |= _transformer(f"{name}.attentions.{block}", width, layers, config)
    if level > 0:
        shapes |= _conv(f"{name}.upsamplers.0.conv", width, width, 3)
    return shapes


def _transformer(name: str, width: int, layers: int, config: UNet) -> Shapes:
    project = _linear if config.linear_projection else _pointwise
    shapes = _norm(f"{name}.norm", width) | project(f"{name}.proj_in", width, width)
    for layer in range(layers):
        shapes |= _transformer_layer(f"{name}.transformer_blocks.{layer}", width, config.context)
    return shapes | project(f"{name}.proj_out", width, width)


def _transformer_layer(name: str, width: int, context: int) -> Shapes:
    shapes = _norm(f"{name}.norm1", width) | _attention(f"{name}.attn1", width, width)
    shapes |= _norm(f"{name}.norm2", width) | _attention(f"{name}.attn2", width, context)
    shapes |= _norm(f"{name}.norm3", width)
    shapes |= _linear(f"{name}.ff.net.0.proj", width, 8 * width)  # GEGLU: value and gate
    return shapes | _linear(f"{name}.ff.net.2", 4 * width, width)


def _attention(name: str, width: int, context: int) -> Shapes:
    return {
        f"{name}.to_q.weight": (width, width),
        f"{name}.to_k.weight": (width, context),
        f"{name}.to_v.weight": (width, context),
    } | _linear(f"{name}.to_out.0", width, width)


def _vae_encoder(config: VAE) -> Shapes:
    widths = config.channels
    shapes = _conv("encoder.conv_in", 3, widths[0], 3)
    for level, width in enumerate(widths):
        name = f"encoder.down_blocks.{level}"
        before = widths[max(level - 1, 0)]
        shapes |= _vae_resnets(name, before, width, config.resnets_per_level)
        if level < len(widths) - 1:
            shapes |= _conv(f"{name}.downsamplers.0.conv", width, width, 3)
    shapes |= _vae_middle("encoder.mid_block", widths[-1])
    shapes |= _norm("encoder.conv_norm_out", widths[-1])
    return shapes | _conv("encoder.conv_out", widths[-1], 2 * LATENT_CHANNELS, 3)


def _vae_decoder(config: VAE) -> Shapes:
    widths = config.channels[::-1]
    shapes = _conv("decoder.conv_in", LATENT_CHANNELS, widths[0], 3)
    shapes |= _vae_middle("decoder.mid_block", widths[0])
    for index, width in enumerate(widths):
        name = f"decoder.up_blocks.{index}"
        before = widths[max(index - 1, 0)]
        shapes |= _vae_resnets(name, before, width, config.resnets_per_level + 1)
        if index < len(widths) - 1:
            shapes |= _conv(f"{name}.upsamplers.0.conv", width, width, 3)
    shapes |= _norm("decoder.conv_norm_out", widths[-1])
    return shapes | _conv("decoder.conv_out", widths[-1], 3, 3)


def _vae_resnets(name: str, before: int, width: int, count: int) -> Shapes:
    shapes: Shapes = {}
    for index in range(count):
        shapes |= _resnet(f"{name}.resnets.{index}", before if index == 0 else width, width, None)
    return shapes


def _vae_middle(name: str, width: int) -> Shapes:
    shapes = _resnet(f"{name}.resnets.0", width, width, None)
    shapes |= _norm(f"{name}.attentions.0.group_norm", width)
    for part in ("to_q", "to_k", "to_v", "to_out.0"):
        shapes |= _linear(f"{name}.attentions.0.{part}", width, width)
    return shapes | _resnet(f"{name}.resnets.1", width, width, None)


def _resnet(name: str, inputs: int, outputs: int, time: int | None) -> Shapes:
    shapes = _norm(f"{name}.norm1", inputs) | _conv(f"{name}.conv1", inputs, outputs, 3)
    if time is not None:
        shapes |= _linear(f"{name}.time_emb_proj", time, outputs)
    shapes |= _norm(f"{name}.norm2", outputs) | _conv(f"{name}.conv2", outputs, outputs, 3)
    if inputs != outputs:
        shapes |= _conv(f"{name}.conv_shortcut", inputs, outputs, 1)
    return shapes


def _embedding_mlp(name: str, inputs: int, outputs: int) -> Shapes:
    return _linear(f"{name}.linear_1", inputs, outputs) | _linear(
        f"{name}.linear_2", outputs, outputs
    )


def _linear(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _conv(name: str, inputs: int, outputs: int, kernel: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs, kernel, kernel), f"{name}.bias": (outputs,)}


def _pointwise(name: str, inputs: int, outputs: int) -> Shapes:
    return _conv(name, inputs, outputs, 1)


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
