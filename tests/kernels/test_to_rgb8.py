"""Bytes against the expressions the three tools use, written in torch as they write them."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from diffusers.image_processor import VaeImageProcessor
from numpy.typing import NDArray

from sakuga.kernels.to_rgb8 import Rounding, to_rgb8

torch.set_num_threads(1)
Bytes = NDArray[np.uint8]


def a1111(image: torch.Tensor) -> Bytes:
    pixels = torch.clamp((image + 1.0) / 2.0, min=0.0, max=1.0)
    return (255.0 * np.moveaxis(pixels.numpy(), 1, -1)).astype(np.uint8)


def comfy(image: torch.Tensor) -> Bytes:
    pixels = torch.clamp((image + 1.0) / 2.0, min=0.0, max=1.0).movedim(1, -1)
    return np.clip(255.0 * pixels.numpy(), 0, 255).astype(np.uint8)


def diffusers(image: torch.Tensor) -> Bytes:
    tool = VaeImageProcessor
    values = tool.pt_to_numpy(torch.as_tensor(tool.denormalize(image)))
    return np.stack([np.asarray(picture) for picture in tool.numpy_to_pil(values)])


def pictures() -> NDArray[np.float32]:
    """Random values, values beyond the range, and every level's edge with its neighbours."""
    rng = np.random.default_rng(0)
    image = rng.uniform(-1.3, 1.3, (2, 3, 70, 33)).astype(np.float32)
    edges = (np.arange(511) / 255 - 1).astype(np.float32)
    near = np.concatenate([edges, np.nextafter(edges, np.float32(2)), np.nextafter(edges, -2)])
    image.reshape(-1)[: near.size] = near
    return image


@pytest.mark.parametrize(
    ("tool", "rounding"), [(a1111, "truncate"), (comfy, "truncate"), (diffusers, "round")]
)
def test_same_bytes_as_the_tool(tool: Callable[[torch.Tensor], Bytes], rounding: Rounding) -> None:
    image = pictures()
    expected = tool(torch.from_numpy(image.copy()))
    assert np.array_equal(to_rgb8(image, rounding), expected)
    assert np.array_equal(to_rgb8(image[1], rounding), expected[1])


def test_the_rules_differ_by_one_level_at_most_and_do_differ() -> None:
    cut, rounded = (to_rgb8(pictures(), rule).astype(int) for rule in ("truncate", "round"))
    assert set(np.unique(rounded - cut)) == {0, 1}


def test_float16_pictures_are_widened_first() -> None:
    image = pictures().astype(np.float16)
    assert np.array_equal(to_rgb8(image, "round"), to_rgb8(image.astype(np.float32), "round"))


def test_what_is_not_a_number_is_black() -> None:
    image = np.full((3, 2, 2), np.nan, np.float32)
    image[:, 0, 0] = np.inf, -np.inf, 0.0
    pixels = to_rgb8(image, "truncate")
    assert pixels[0, 0].tolist() == [255, 0, 127]
    assert not pixels[1].any()
