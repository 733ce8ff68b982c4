"""Latents of another size against torch's interpolate."""

import numpy as np
import pytest
import torch

from sakuga.engine.refine.latents import LATENT_UPSCALERS, resize_latent

SIZES = [((8, 12), (12, 18)), ((13, 9), (26, 19)), ((16, 16), (7, 11)), ((5, 5), (5, 5))]


@pytest.mark.parametrize("name", LATENT_UPSCALERS)
@pytest.mark.parametrize(("size", "wanted"), SIZES)
def test_it_is_torch_s(name: str, size: tuple[int, int], wanted: tuple[int, int]) -> None:
    how = LATENT_UPSCALERS[name]
    latent = np.random.default_rng(0).standard_normal((4, *size), np.float32)
    found = resize_latent(latent, wanted, how)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(latent)[None], wanted, mode=how.kernel, antialias=how.antialiased
    )
    np.testing.assert_allclose(found, expected[0].numpy(), atol=6e-6)
    assert found.flags.c_contiguous
