"""What a backend must know of a bundle's networks to make their buffers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.bundle import Bundle
from sakuga.engine.manifest import NetworkEntry, TensorEntry
from sakuga.kernels.preview import COLOURS, Colours
from sakuga.profiles.families import CHUNK, LATENT_CHANNELS, VAE_FACTOR


@dataclass(frozen=True)
class Networks:
    """The networks of a bundle. `decode_scale`: what the VAE wants a latent multiplied with.
    `colours` of latent channels, for previews."""

    entries: Mapping[str, NetworkEntry]
    decode_scale: float
    colours: Colours

    @classmethod
    def of(cls, bundle: Bundle) -> "Networks":
        """Those of an opened bundle."""
        family = bundle.family
        colours = COLOURS.get(family.name, COLOURS[family.kind])
        return cls(bundle.manifest.networks, 1 / family.vae.scaling_factor, colours)

    @property
    def unet(self) -> NetworkEntry:
        """The UNet's entry."""
        return self.entries["unet"]

    @property
    def max_rows(self) -> int:
        """Rows of the largest UNet call."""
        return self.unet.axes["rows"].maximum


def dtype_of(tensor: TensorEntry) -> np.dtype[Any]:
    """A border tensor's type."""
    return np.dtype(tensor.dtype)


def row_shape(tensor: TensorEntry, latent: tuple[int, int], chunks: int = 1) -> tuple[int, ...]:
    """A tensor's shape without its rows, for latents of (height, width) and prompts of `chunks`."""
    height, width = latent
    lengths = {
        "latent_height": height,
        "latent_width": width,
        "height": VAE_FACTOR * height,
        "width": VAE_FACTOR * width,
        "context": CHUNK * chunks,
    }
    return tuple(lengths[dim] if isinstance(dim, str) else dim for dim in tensor.dims[1:])


def image_latent(image: NDArray[np.float32]) -> tuple[int, int]:
    """Latent (height, width) of a picture, [3, height, width]."""
    return image.shape[1] // VAE_FACTOR, image.shape[2] // VAE_FACTOR


def latent_shape(latent: tuple[int, int]) -> tuple[int, int, int]:
    """(channels, height, width)."""
    return (LATENT_CHANNELS, *latent)
