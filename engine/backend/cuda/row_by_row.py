"""A network that is given its rows one by one, so that none depends on how many came with it."""

from collections.abc import Mapping

import numpy as np

from sakuga.engine.backend.base import Array, Session


class RowByRow:
    """A `Session` around another. All tensors of the network begin with their rows."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name, of as many rows as the inputs."""
        rows = len(next(iter(inputs.values())))
        found = [
            self._session.run({name: array[row : row + 1] for name, array in inputs.items()})
            for row in range(rows)
        ]
        return {name: np.concatenate([one[name] for one in found]) for name in found[0]}
