"""Latents of another size against torch's interpolate, and cut to another shape."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from sakuga.engine.refine.latents import LATENT_UPSCALERS, middle_of, resize_latent

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


@given(
    arrays(np.float32, st.tuples(*(st.integers(1, 9),) * 3)), st.integers(0, 8), st.integers(0, 8)
)
def test_the_middle_of_a_latent_is_a1111_s(latent: NDArray[np.float32], y: int, x: int) -> None:
    """Written as `sample_hr_pass` writes it."""
    _, height, width = latent.shape
    y, x = min(y, height - 1), min(x, width - 1)
    wanted = latent[:, y // 2 : height - (y + 1) // 2, x // 2 : width - (x + 1) // 2]
    assert np.array_equal(middle_of(latent, (height - y, width - x)), wanted, equal_nan=True)
