"""`sakuga serve` whose networks answer zeros at once: all else of it is as it is.

Each process of the server reads this file, the engine's too, so that all of them have it.
"""

from collections.abc import Mapping

import numpy as np

from sakuga.__main__ import main
from sakuga.engine.backend import choose
from sakuga.engine.backend.base import Array, Session
from sakuga.engine.backend.network import Borders
from sakuga.engine.bundle import Bundle
from sakuga.engine.manifest import NetworkEntry


class QuickNetworks:
    """Stands where ONNX Runtime's networks stand."""

    slots = 1  # as those of one core have

    def __init__(self, bundle: Bundle, threads: int | None) -> None:
        self._networks = bundle.manifest.networks

    def __call__(self, name: str) -> Session:
        """A network that knows its borders alone."""
        return QuickSession(self._networks[name])

    def close(self) -> None:
        """Nothing is open."""


class QuickSession:
    """Zeros, in the shapes that the network would give."""

    def __init__(self, network: NetworkEntry) -> None:
        self._network = network

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name."""
        lengths: dict[str, int] = {}
        for tensor in self._network.inputs:
            pairs = zip(tensor.dims, inputs[tensor.name].shape, strict=True)
            lengths |= {name: length for name, length in pairs if isinstance(name, str)}
        lengths |= Borders.of(self._network).follow(lengths)
        return {
            tensor.name: np.zeros(
                [lengths[each] if isinstance(each, str) else each for each in tensor.dims],
                np.float32,
            )
            for tensor in self._network.outputs
        }


setattr(choose, "OnnxNetworks", QuickNetworks)  # noqa: B010 (its type is another)

if __name__ == "__main__":
    main()
