"""The noise sources people choose among."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.errors import UsageError
from sakuga.engine.sampling.noise.torch_cpu import TorchDraws
from sakuga.kernels.philox import normals
from sakuga.profiles.families import LATENT_CHANNELS

Latent = NDArray[np.float32]
Source = Literal["NV", "CPU"]  # a CUDA generator's Philox; a Mersenne twister


@dataclass(frozen=True)
class Rng:
    """Where the first latent and what the steps add are drawn from.

    `restarts`: the steps have a generator of their own, whose draws begin at 0; else draw 0 is the
    first latent's.
    """

    name: str
    first: Source
    later: Source
    restarts: bool = False


RNGS = {
    rng.name: rng
    for rng in (
        Rng("NV", "NV", "NV"),
        Rng("CPU", "CPU", "CPU"),
        # ComfyUI on a GPU: `prepare_noise` on the processor, `default_noise_sampler` on the GPU.
        Rng("ComfyUI", "CPU", "NV", restarts=True),
    )
}


def find_rng(name: str) -> Rng:
    """The noise source of a name, in any case. Raises UsageError that names the known ones."""
    for rng in RNGS.values():
        if rng.name.casefold() == name.casefold():
            return rng
    gpu = name.casefold() == "gpu"
    raise UsageError(
        f"There is no noise source called {name!r}.",
        note="A GPU's numbers are those of NV, but for pictures too large for its threads."
        if gpu
        else "",
        hint=f"Use one of {', '.join(RNGS)}.",
    )


def first_draw(source: Source, seed: int, latent: tuple[int, int], number: int = 0) -> Latent:
    """A draw of a seed for a latent of (height, width), float32 [4, height, width]."""
    shape = (LATENT_CHANNELS, *latent)
    count = int(np.prod(shape))
    found = normals(seed, number, count) if source == "NV" else TorchDraws(seed, count).draw(number)
    return found.reshape(shape)
