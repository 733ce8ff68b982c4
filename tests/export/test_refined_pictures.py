"""Image to image and inpainting against diffusers' pipelines: same weights, same noise."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from sakuga.engine.bundle import Bundle
from sakuga.engine.engine import Engine
from sakuga.engine.image.source import Source
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.stages import Init, Mask
from sakuga.export.reference_pipeline import SCHEDULERS, Reference, reference
from sakuga.export.relative_error import relative_error

# diffusers' schedulers hand torch tensors to np.array as NumPy 1 had it.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]

LATENT_BAR = 1e-3
WIDTH, HEIGHT = 160, 128


@dataclass(frozen=True, eq=False)
class Both:
    """The same weights in both programs."""

    engine: Engine
    theirs: Reference

    def error(self, init: Init, sampler: str) -> float:
        request = Request(
            "1girl, green hair, sweater", "nsfw, lowres", WIDTH, HEIGHT, 6, 7.0, sampler, 42,
            compat="diffusers", init=init,
        )  # fmt: skip
        return relative_error(self.engine.denoise(request), self.theirs.latents(request))


@pytest.fixture(scope="module", params=["sdxl", "sd15"])
def both(request: pytest.FixtureRequest) -> Iterator[Both]:
    torch.set_num_threads(1)
    folder: Path = request.getfixturevalue(f"{request.param}_folder")
    bundle: Bundle = request.getfixturevalue(f"{request.param}_bundle")
    with Engine.open(bundle.path, threads=1) as engine:
        yield Both(engine, reference(folder))


@pytest.fixture(scope="module")
def picture() -> Source:
    """Something with edges and slopes."""
    down, across = np.mgrid[0:HEIGHT, 0:WIDTH]
    slopes = np.stack([2 * down, across, (down * across) // 90], axis=-1).astype(np.uint8)
    slopes[30:70, 40:100] = (200, 30, 90)
    return Source.of(slopes)


@pytest.fixture(scope="module")
def mask() -> Source:
    drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
    drawn[20:83, 35:121] = 255
    return Source.of(drawn)


@pytest.mark.parametrize("sampler", SCHEDULERS)
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_image_to_image(both: Both, picture: Source, sampler: str, strength: float) -> None:
    error = both.error(Init(picture, strength), sampler)
    print(f"image to image, {sampler}, {strength}: {error:.1e}")
    assert error <= LATENT_BAR


@pytest.mark.parametrize("sampler", SCHEDULERS)
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_inpainting(
    both: Both, picture: Source, mask: Source, sampler: str, strength: float
) -> None:
    error = both.error(Init(picture, strength, mask=Mask(mask)), sampler)
    print(f"inpainting, {sampler}, {strength}: {error:.1e}")
    assert error <= LATENT_BAR


@pytest.fixture(scope="module")
def inpainter(inpaint_folder: Path, inpaint_bundle: Bundle) -> Iterator[Both]:
    """A model whose UNet is told the mask and what it leaves."""
    torch.set_num_threads(1)
    with Engine.open(inpaint_bundle.path, threads=1) as engine:
        yield Both(engine, reference(inpaint_folder))


@pytest.mark.parametrize("sampler", ["euler_a", "dpmpp_2m"])
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_inpainting_models(
    inpainter: Both, picture: Source, mask: Source, sampler: str, strength: float
) -> None:
    error = inpainter.error(Init(picture, strength, mask=Mask(mask)), sampler)
    print(f"inpainting model, {sampler}, {strength}: {error:.1e}")
    assert error <= LATENT_BAR
