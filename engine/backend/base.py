"""The two seams of a backend: a `Device` holds latents and moves them, a `Session` runs a network.

The latents of all pictures of one size lie in a `Lane`. A slot is a picture's place in a lane; a
row is one sample of a network call. Slot s owns the rows `ROWS_PER_SLOT·s + 0, 1, …`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sakuga.kernels.denoise_step import Coefficients
from sakuga.kernels.to_rgb8 import Rounding

ROWS_PER_SLOT = 2  # with guidance: the prompt's row and the negative prompt's
MAX_HISTORIES = 3  # what the most demanding sampler keeps

Array = NDArray[Any]


class Session(Protocol):
    """One network, loaded."""

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name, for inputs of one shape set the graph allows."""
        ...


@dataclass(frozen=True)
class Start:
    """Begin a slot: its first latent is `scale` times draw 0 of `seed`."""

    slot: int
    rows: tuple[int, ...]
    seed: int
    scale: float
    c_in: float


@dataclass(frozen=True)
class Step:
    """Advance a slot by one evaluation of the network."""

    slot: int
    rows: tuple[int, ...]
    weights: tuple[float, ...]
    coefficients: Coefficients
    seed: int
    draw: int  # 0: the step adds no noise


class Lane(Protocol):
    """Buffers of all slots of one latent size on one device."""

    @property
    def slots(self) -> int:
        """How many pictures fit."""
        ...

    def start(self, starts: Sequence[Start]) -> None:
        """First latents and first model inputs."""
        ...

    def model_inputs(self, rows: Sequence[int]) -> Array:
        """The next model input of these rows, [len(rows), 4, height, width], not to be kept."""
        ...

    def set_outputs(self, rows: Sequence[int], outputs: Array) -> None:
        """Give the network's output of these rows."""
        ...

    def draw_ahead(self, steps: Sequence[Step]) -> None:
        """A hint, before the network runs, of the steps that follow it."""
        ...

    def step(self, steps: Sequence[Step]) -> None:
        """One launch for all slots given: guidance, update, noise, next model inputs."""
        ...

    def latent(self, slot: int) -> NDArray[np.float32]:
        """A slot's latent, float32 [4, height, width], on the host."""
        ...


class Device(Protocol):
    """Where latents live and kernels run."""

    @property
    def name(self) -> str:
        """What to call it in metadata and reports."""
        ...

    def lane(self, latent: tuple[int, int], slots: int, dtype: np.dtype[Any]) -> Lane:
        """Buffers for `slots` pictures with latents of (height, width); model input in `dtype`."""
        ...

    def to_rgb8(self, image: Array, rounding: Rounding) -> NDArray[np.uint8]:
        """[rows, 3, height, width] in [-1, 1] to bytes [rows, height, width, 3]."""
        ...

    def close(self) -> None:
        """Release what the device holds."""
        ...
