"""SDXL's micro-conditioning: the six numbers, and the published sinusoids in the shipped graph."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import (
    StableDiffusionXLPipeline,
)
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from sakuga.engine.text.conditioning import time_ids
from sakuga.export.graph_files import read_graph
from sakuga.profiles.buckets import ANIMAGINE_BUCKETS, Size
from sakuga.profiles.families import SDXL

POOLED, SINUSOID = 1280, 256
FREQUENCIES = np.exp(-np.log(10000) * np.arange(SINUSOID // 2) / (SINUSOID // 2))

# Published: number, first three cosines, first three sines. 0 is a crop that cuts nothing.
VECTORS = [
    (1024, [0.98735, -0.53762, 0.68346], [-0.15853, -0.84319, 0.72999]),
    (832, [-0.86680, 0.16586, -0.49098], [0.49866, 0.98615, -0.87117]),
    (1216, [-0.97934, 0.82409, -0.83699], [-0.20224, 0.56646, -0.54722]),
    (0, [1, 1, 1], [0, 0, 0]),
]


@pytest.fixture(scope="module")
def added() -> ReferenceEvaluator:
    """The part of the full SDXL UNet's graph that makes what `add_embedding` reads."""
    model = read_graph(SDXL.name, "unet")
    (first,) = [n for n in model.graph.node if "add_embedding.linear_1.bias" in n.input]
    what = onnx.helper.make_tensor_value_info(first.input[0], onnx.TensorProto.FLOAT, None)
    model.graph.value_info.append(what)
    extract = onnx.utils.Extractor(model).extract_model
    return ReferenceEvaluator(extract(["text_embeds", "time_ids"], [first.input[0]]))


def embedded(added: ReferenceEvaluator, ids: NDArray[np.float32]) -> NDArray[Any]:
    pooled = np.arange(POOLED, dtype=np.float32)[None]
    outputs: Any = added.run(None, {"text_embeds": pooled, "time_ids": ids[None]})
    found: NDArray[Any] = outputs[0]
    assert found.shape == (1, POOLED + 6 * SINUSOID) == (1, 2816)
    np.testing.assert_array_equal(found[0, :POOLED], pooled[0])
    return found[0, POOLED:].reshape(6, SINUSOID)


@pytest.mark.parametrize(("number", "cosines", "sines"), VECTORS)
def test_published_sinusoids(
    added: ReferenceEvaluator, number: int, cosines: list[float], sines: list[float]
) -> None:
    """Cosines first, then sines; float32 angles up to 1216 are good to 1e-4."""
    for row in embedded(added, np.full(6, number, np.float32)):
        np.testing.assert_allclose(row[:3], cosines, atol=1e-4)
        np.testing.assert_allclose(row[128:131], sines, atol=1e-4)


def test_each_number_has_its_place_and_all_frequencies(added: ReferenceEvaluator) -> None:
    """Order: original height and width, crop top and left, target height and width."""
    ids = time_ids(
        Size(832, 1216),
        original=Size(width=640, height=1536),
        crop_top=3,
        crop_left=4,
        target=Size(width=1344, height=768),
    )
    np.testing.assert_array_equal(ids, [1536, 640, 3, 4, 768, 1344])
    for number, row in zip(ids, embedded(added, ids), strict=True):
        angles = float(number) * FREQUENCIES
        np.testing.assert_allclose(row, np.concatenate([np.cos(angles), np.sin(angles)]), atol=2e-4)


@pytest.mark.parametrize("size", [*ANIMAGINE_BUCKETS, Size(1600, 896)], ids=str)
def test_the_defaults_of_each_tool(size: Size) -> None:
    """A1111, ComfyUI and diffusers agree: original and target are the picture's, no crop.

    A1111: (H, W) of the pass, options `sdxl_crop_top` and `sdxl_crop_left` 0. ComfyUI: eight times
    the latent. diffusers is asked itself.
    """
    height, width = size.latent()
    comfy = [8 * height, 8 * width, 0, 0, 8 * height, 8 * width]
    a1111 = [size.height, size.width, 0, 0, size.height, size.width]
    assert time_ids(size).tolist() == a1111 == comfy == diffusers_ids(size)


def diffusers_ids(size: Size) -> list[float]:
    """What the pipeline makes of a size in float16, given what it reads of itself."""
    linear = SimpleNamespace(in_features=POOLED + 6 * SINUSOID)
    config = SimpleNamespace(addition_time_embed_dim=SINUSOID)
    unet = SimpleNamespace(config=config, add_embedding=SimpleNamespace(linear_1=linear))
    both, make = (size.height, size.width), StableDiffusionXLPipeline._get_add_time_ids
    pipeline: Any = SimpleNamespace(unet=unet)
    ids = make(pipeline, both, (0, 0), both, torch.float16, text_encoder_projection_dim=POOLED)
    numbers: list[float] = ids[0].tolist()
    return numbers


def test_half_precision_loses_nothing_of_any_size() -> None:
    """diffusers casts the ids to float16, which holds every integer up to 2048."""
    numbers = np.arange(SDXL.sizes.maximum + 1)
    np.testing.assert_array_equal(numbers.astype(np.float16), numbers)
