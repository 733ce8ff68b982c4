"""Whether the rows of a network call know of each other."""

import numpy as np

from sakuga.engine.backend.base import Array, Session
from sakuga.engine.backend.network import dtype_of, row_shape
from sakuga.engine.errors import RenderError
from sakuga.engine.manifest import NetworkEntry

_ROWS = 3


def check_rows(unet: Session, entry: NetworkEntry, latent: tuple[int, int]) -> None:
    """Run the network on rows together and on the first of them alone; its bits must be the same.

    Promised to users, and true of ONNX Runtime with full optimisation wherever it was tried; where
    it is not, pictures that share calls would depend on each other. Raises RenderError.
    """
    random = np.random.default_rng(0)
    together = {
        tensor.name: random.random((_ROWS, *row_shape(tensor, latent)), np.float32).astype(
            dtype_of(tensor)
        )
        for tensor in entry.inputs
    }
    if _first(unet, together) != _first(unet, {name: each[:1] for name, each in together.items()}):
        raise RenderError(
            "On this machine a picture's bits depend on the pictures beside it.",
            note="ONNX Runtime gives a row of a network call other bits in company than alone.",
            hint="Open the engine with one place, as it is opened usually, and report this with "
            "the processor's name.",
        )


def _first(unet: Session, inputs: dict[str, Array]) -> bytes:
    first: bytes = unet.run(inputs)["noise_pred"][0].tobytes()
    return first
