"""Masks in latent size, against the libraries whose rules they are."""

import numpy as np
import pytest
import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image
from torch.nn.functional import interpolate

from sakuga.engine.refine import latent_mask
from sakuga.engine.refine.gaussian import blurred

LATENTS = [(13, 9), (8, 8), (5, 16)]


def masks(latent: tuple[int, int]) -> list[np.ndarray]:
    height, width = 8 * latent[0], 8 * latent[1]
    random = np.random.default_rng(0)
    box = np.zeros((height, width), np.uint8)
    box[height // 5 : height // 2, width // 3 : -5] = 255
    return [box, blurred(box, 4, 4), random.integers(0, 256, (height, width), np.uint8)]


@pytest.mark.parametrize("latent", LATENTS)
def test_of_a1111(latent: tuple[int, int]) -> None:
    """Its steps with Pillow and NumPy: three equal channels, the first of them."""
    for mask in masks(latent):
        small = Image.fromarray(mask).convert("RGB").resize((latent[1], latent[0]))
        soft = (np.moveaxis(np.array(small, dtype=np.float32), 2, 0) / 255)[0]
        np.testing.assert_array_equal(latent_mask.a1111_soft(mask, latent), soft)
        np.testing.assert_array_equal(latent_mask.a1111(mask, latent), np.around(soft))


@pytest.mark.parametrize("latent", LATENTS)
def test_of_diffusers(latent: tuple[int, int]) -> None:
    processor = VaeImageProcessor(do_normalize=False, do_binarize=True, do_convert_grayscale=True)
    for mask in masks(latent):
        theirs = interpolate(processor.preprocess(Image.fromarray(mask)), size=latent)
        np.testing.assert_array_equal(latent_mask.diffusers(mask, latent), theirs[0, 0].numpy())


@pytest.mark.parametrize("latent", [*LATENTS, (7, 20)])
def test_of_comfy(latent: tuple[int, int]) -> None:
    for mask in masks((8, 10)):
        values = torch.from_numpy(mask.astype(np.float32) / 255)[None, None]
        theirs = interpolate(values, size=latent, mode="bilinear")[0, 0].numpy()
        np.testing.assert_allclose(latent_mask.comfy(mask, latent), theirs, atol=1e-5)


def test_every_rule_has_a_name_and_gives_shares() -> None:
    for rule in latent_mask.RULES.values():
        values = rule(masks((8, 8))[2], (8, 8))
        assert values.dtype == np.float32 and values.shape == (8, 8)
        assert 0 <= values.min() < values.max() <= 1
