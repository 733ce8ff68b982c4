"""What a backend must know of networks to make their buffers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.bundle import Bundle
from sakuga.engine.manifest import NetworkEntry, TensorEntry
from sakuga.kernels.preview import COLOURS, Colours
from sakuga.profiles.families import CHUNK, LATENT_CHANNELS, VAE_FACTOR

Lengths: TypeAlias = dict[str, int]  # of axes, by name


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


@dataclass(frozen=True)
class Borders:
    """What a network takes and gives. `follow`: the lengths of what it gives, from those of what
    it takes."""

    inputs: tuple[TensorEntry, ...]
    outputs: tuple[TensorEntry, ...]
    follow: Callable[[Lengths], Lengths]

    @classmethod
    def of(cls, entry: NetworkEntry) -> "Borders":
        """Those of a bundle's network."""
        return cls(entry.inputs, entry.outputs, _as_the_vae)

    @classmethod
    def of_upscaler(cls, scale: int) -> "Borders":
        """Those of a network that makes a picture `scale` times as large."""

        def larger(lengths: Lengths) -> Lengths:
            return {f"upscaled_{side}": scale * lengths[side] for side in ("height", "width")}

        return cls((_picture("image", ""),), (_picture("upscaled", "upscaled_"),), larger)


def _as_the_vae(lengths: Lengths) -> Lengths:
    """A VAE's inputs have sides of one kind, its outputs those of the other; a text encoder has
    none."""
    found = Lengths()
    for side in ("height", "width"):
        if side in lengths:
            found[f"latent_{side}"] = lengths[side] // VAE_FACTOR
        elif f"latent_{side}" in lengths:
            found[side] = VAE_FACTOR * lengths[f"latent_{side}"]
    return found


def _picture(name: str, prefix: str) -> TensorEntry:
    return TensorEntry(name, "float32", (1, 3, f"{prefix}height", f"{prefix}width"))


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
