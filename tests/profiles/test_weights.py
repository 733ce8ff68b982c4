"""The weight tables against the modules that diffusers and transformers build."""

import math
from typing import Any

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from sakuga.export import diffusers_configs
from sakuga.profiles.families import FAMILIES, SD15, SDXL, Family, TextEncoder
from sakuga.profiles.weights import Shapes, unet_weights, vae_weights, weights


def shapes_of(module: torch.nn.Module) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def clip_shapes(config: TextEncoder) -> Shapes:
    options = CLIPTextConfig.from_dict(diffusers_configs.text_encoder_config(config))
    model_type = CLIPTextModel if config.projection is None else CLIPTextModelWithProjection
    with torch.device("meta"):
        shapes = shapes_of(model_type(options))
    if config.projection is None:  # transformers 5 builds this class without the prefix
        return {f"text_model.{name.removeprefix('text_model.')}": s for name, s in shapes.items()}
    return shapes


def count(shapes: Shapes) -> int:
    return sum(math.prod(shape) for shape in shapes.values())


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_unet_is_the_one_diffusers_builds(family: Family) -> None:
    with torch.device("meta"):
        module: Any = UNet2DConditionModel.from_config(diffusers_configs.unet_config(family))
    assert weights(family)["unet"] == shapes_of(module)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_vae_is_the_one_diffusers_builds(family: Family) -> None:
    with torch.device("meta"):
        module: Any = AutoencoderKL.from_config(diffusers_configs.vae_config(family.vae, 512))
    assert weights(family)["vae"] == shapes_of(module)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_text_encoders_are_the_ones_transformers_builds(family: Family) -> None:
    tables = weights(family)
    for config in family.text_encoders:
        assert tables[config.name] == clip_shapes(config)


def test_published_tensor_counts() -> None:
    assert len(unet_weights(SDXL.unet, SDXL.pooled)) == 1680
    assert len(unet_weights(SD15.unet, SD15.pooled)) == 686
    assert len(vae_weights(SDXL.vae)) == 248


def test_published_parameter_counts() -> None:
    assert count(unet_weights(SDXL.unet, SDXL.pooled)) == 2_567_463_684
    assert count(unet_weights(SD15.unet, SD15.pooled)) == 859_520_964
    assert count(weights(SDXL)["text_encoder"]) == 123_060_480


def test_components_of_each_kind() -> None:
    assert list(weights(SDXL)) == ["text_encoder", "text_encoder_2", "unet", "vae"]
    assert list(weights(SD15)) == ["text_encoder", "unet", "vae"]
