"""The UNet's data: latents of painted pictures, computed once and grouped by shape."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sakuga.export.demo.training.cache import cached
from sakuga.export.demo.training.device import half_precision
from sakuga.export.demo.training.pictures import pixels, scene_number
from sakuga.export.demo.training.vae import to_network
from sakuga.profiles.buckets import QUARTER_BUCKETS, Size
from sakuga.profiles.families import SDXL_DEMO

# The nine shapes at half the sides: a quarter of the work while colours and places are learnt.
SMALL_SHAPES = tuple(Size(size.width // 2, size.height // 2) for size in QUARTER_BUCKETS)
_AT_ONCE = 16


@dataclass(frozen=True, eq=False)
class Shelf:
    """Scaled latents of one size, float16 [n, 4, h, w], and the scene number of each."""

    size: Size
    latents: NDArray[np.float16]
    scenes: NDArray[np.int64]


def shelves(
    folder: Path,
    vae: Any,  # noqa: ANN401 (diffusers' module)
    sizes: tuple[Size, ...],
    numbers: range,
    seed: int,
) -> list[Shelf]:
    """Pictures `numbers` of every size, from the cache in `folder` where it has them."""
    return [
        _shelf(folder, vae, size, np.array(numbers) + place * 100_000, seed)
        for place, size in enumerate(sizes)
    ]


def _shelf(
    folder: Path,
    vae: Any,  # noqa: ANN401
    size: Size,
    scenes: NDArray[np.int64],
    seed: int,
) -> Shelf:
    name = f"latents-{size}-{scenes[0]}-{len(scenes)}-{seed}-{_digest(vae)}.npy"

    def make() -> NDArray[np.float16]:
        parts = range(0, len(scenes), _AT_ONCE)
        return np.concatenate([_encoded(vae, size, scenes[i : i + _AT_ONCE], seed) for i in parts])

    return Shelf(size, cached(folder / name, make), scenes)


def _digest(vae: Any) -> str:  # noqa: ANN401
    """Which VAE: latents of another are worth nothing."""
    digest = hashlib.sha256()
    for parameter in vae.parameters():
        digest.update(parameter.detach().cpu().numpy().tobytes())
    return digest.hexdigest()[:12]


@torch.no_grad()
def _encoded(
    vae: Any,  # noqa: ANN401
    size: Size,
    scenes: NDArray[np.int64],
    seed: int,
) -> NDArray[np.float16]:
    images = np.stack([pixels(scene_number(seed, int(scene)), size) for scene in scenes])
    with half_precision():
        mean = vae.encode(to_network(images)).latent_dist.mean
    latents: NDArray[np.float16] = (
        (mean.float() * SDXL_DEMO.vae.scaling_factor).half().cpu().numpy()
    )
    return latents
