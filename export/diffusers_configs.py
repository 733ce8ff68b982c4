"""The config files of a diffusers folder for a family, as plain dictionaries.

They are what diffusers and transformers need to rebuild the same networks: read by the synthetic
checkpoints, the maintainers' tracer and the tests.
"""

from sakuga.export.checkpoint.tokenizer_folder import tokenizer_name
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

Config = dict[str, object]

BEGIN_TOKEN, END_TOKEN = 49406, 49407


def text_encoder_config(config: TextEncoder) -> Config:
    """config.json of a CLIPTextModel, or of a CLIPTextModelWithProjection where one is pooled."""
    pooled = config.projection is not None
    return {
        "architectures": ["CLIPTextModelWithProjection" if pooled else "CLIPTextModel"],
        "model_type": "clip_text_model",
        "vocab_size": VOCABULARY,
        "max_position_embeddings": CHUNK,
        "hidden_size": config.hidden,
        "intermediate_size": config.intermediate,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "hidden_act": config.activation,
        "layer_norm_eps": 1e-5,
        "projection_dim": config.projection or config.hidden,
        "bos_token_id": BEGIN_TOKEN,
        "eos_token_id": END_TOKEN,
        "pad_token_id": END_TOKEN if config.pad == "end" else 0,
    }


def unet_config(family: Family) -> Config:
    """config.json of a UNet2DConditionModel."""
    unet = family.unet
    attention = [layers > 0 for layers in unet.transformer_layers]
    config: Config = {
        "_class_name": "UNet2DConditionModel",
        "sample_size": family.buckets[0].latent()[0],
        "in_channels": unet.inputs,
        "out_channels": LATENT_CHANNELS,
        "block_out_channels": list(unet.channels),
        "down_block_types": ["CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attention],
        "up_block_types": ["CrossAttnUpBlock2D" if a else "UpBlock2D" for a in attention[::-1]],
        "transformer_layers_per_block": [max(layers, 1) for layers in unet.transformer_layers],
        "attention_head_dim": list(unet.heads),
        "cross_attention_dim": unet.context,
        "layers_per_block": unet.resnets_per_level,
        "norm_num_groups": unet.groups,
        "use_linear_projection": unet.linear_projection,
    }
    return config | _added_conditions(unet, family.pooled)


def _added_conditions(unet: UNet, pooled: int | None) -> Config:
    if pooled is None or unet.time_id_width is None:
        return {}
    return {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": unet.time_id_width,
        "projection_class_embeddings_input_dim": pooled + TIME_IDS * unet.time_id_width,
    }


def vae_config(vae: VAE, sample_size: int) -> Config:
    """config.json of an AutoencoderKL; `sample_size` in pixels is a hint for tiling only."""
    levels = len(vae.channels)
    return {
        "_class_name": "AutoencoderKL",
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": LATENT_CHANNELS,
        "block_out_channels": list(vae.channels),
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "layers_per_block": vae.resnets_per_level,
        "norm_num_groups": vae.groups,
        "sample_size": sample_size,
        "scaling_factor": vae.scaling_factor,
    }


def scheduler_config() -> Config:
    """scheduler_config.json: the training schedule both families share, sampled by Euler."""
    return {
        "_class_name": "EulerDiscreteScheduler",
        "num_train_timesteps": 1000,
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "prediction_type": "epsilon",
        "timestep_spacing": "leading",
        "steps_offset": 1,
    }


def model_index(family: Family) -> Config:
    """model_index.json: which class loads which folder."""
    encoders: Config = {
        config.name: ["transformers", *_class_names(text_encoder_config(config))]
        for config in family.text_encoders
    }
    tokenizers: Config = {
        tokenizer_name(config): ["transformers", "CLIPTokenizer"] for config in family.text_encoders
    }
    networks: Config = {
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "scheduler": ["diffusers", "EulerDiscreteScheduler"],
    }
    if family.kind == "sdxl":
        extras: Config = {
            "_class_name": "StableDiffusionXLPipeline",
            "force_zeros_for_empty_prompt": True,
        }
    else:
        checker: Config = {"safety_checker": [None, None], "feature_extractor": [None, None]}
        extras = {"_class_name": "StableDiffusionPipeline", **checker}
    return extras | encoders | tokenizers | networks


def _class_names(config: Config) -> list[str]:
    names = config["architectures"]
    assert isinstance(names, list)
    return names
