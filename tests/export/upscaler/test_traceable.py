"""DAT's form for tracing is DAT."""

from typing import Any

import pytest
import torch
from upscaler_files import dat

from sakuga.export.upscaler.traceable import traceable


@pytest.mark.parametrize("size", [(16, 24), (32, 64), (64, 64)])
def test_the_masks_are_its_own(size: tuple[int, int]) -> None:
    module = dat()
    layers: list[Any] = [each for each in module.modules() if hasattr(each, "attn_mask_0")]
    assert len(layers) == 2
    for layer in layers:
        wanted = type(layer).calculate_mask(layer, *size)
        with traceable(module):
            got = layer.calculate_mask(*size)
        assert all(torch.equal(a / 1000, b / 100) for a, b in zip(got, wanted, strict=True))


def test_it_computes_the_same_and_is_put_back() -> None:
    module, image = dat(), torch.rand(1, 3, 24, 40, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = module(image)
        with traceable(module) as form:
            got = form(image)
        assert torch.allclose(got, wanted, rtol=1e-6) and torch.equal(module(image), wanted)
    assert not any("calculate_mask" in vars(each) for each in module.modules())
