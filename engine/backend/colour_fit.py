"""What maps the colours of one picture of a thing to those of another: an affine map of channels.

    y = x + offset + matrix · (x − mean)

by least squares, held to the identity the more, the less the samples are of all the colours.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]

_RIDGE = 0.2  # of each channel's variance in the whole: what is known from alike samples is noise
_LEAST = 1e-6  # variance that counts as none


@dataclass(frozen=True, eq=False)
class ColourFit:
    """`matrix` [channels, channels], `offset` and `mean` [channels], float32."""

    matrix: Values
    offset: Values
    mean: Values

    @classmethod
    def of(cls, found: Values, wanted: Values, whole: Values) -> "ColourFit":
        """What makes `found` as much as possible like `wanted`, each [channels, samples], and is to
        be done to all of `whole`, [channels, any]."""
        mean, error = found.mean(1), wanted - found
        offset = error.mean(1)
        x, samples = found - mean[:, None], found.shape[1]
        variances = x @ x.T / samples
        held = np.diag(_RIDGE * whole.var(1) + _LEAST).astype(np.float32)
        crossed = (error - offset[:, None]) @ x.T / samples
        matrix = np.linalg.solve(variances + held, crossed.T).T
        return cls(np.asarray(matrix, np.float32), offset, mean)

    def __call__(self, values: Values) -> Values:
        """The values mapped, [channels, height, width]."""
        matrix = self.matrix + np.eye(len(self.mean), dtype=np.float32)
        constant = self.offset - self.matrix @ self.mean
        flat: Values = np.matmul(matrix, values.reshape(len(values), -1), dtype=np.float32)
        flat += constant[:, None]
        mapped: Values = flat.reshape(values.shape)
        return mapped
