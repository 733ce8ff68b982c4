"""A tensor as a LoRA stores it: whole, or as a product of low rank.

up @ down (Hu et al. 2021, arXiv:2106.09685), or with a core between them for convolutions (Tucker
decomposition; Yeh et al. 2023, arXiv:2309.14859).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sakuga.export.checkpoint.sources import Array, Shape

Shapes = Mapping[str, Shape]
Arrays = Mapping[str, Array]


class MisfitError(Exception):
    """Parts that do not go together, or are not all there; the message says which."""


@dataclass(frozen=True)
class Factor:
    """Names of the parts: `whole`, or `up` [out, r], `down` [r, in, ...], `core` [r, r, ...].

    `up_turned`: beside a core, `up` is stored as [r, out].
    """

    whole: str
    up: str
    down: str
    core: str
    up_turned: bool = False

    def rank(self, shapes: Shapes) -> int | None:
        """The rank, None for a tensor stored whole."""
        return None if self.whole in shapes else shapes[self.down][0]

    def shape(self, shapes: Shapes) -> Shape:
        """Shape of the tensor. Raises MisfitError."""
        if self.whole in shapes:
            return shapes[self.whole]
        up, down, core = _needed(shapes, self.up), _needed(shapes, self.down), self._core(shapes)
        if core is None:
            if len(up) < 2 or len(down) < 2 or math.prod(up[1:]) != down[0]:
                raise MisfitError(f"{self.up} {list(up)} @ {self.down} {list(down)}")
            return (up[0], *down[1:])
        out, rank = (up[1], up[0]) if self.up_turned and len(up) == 2 else (up[0], _rest(up))
        if len(core) < 2 or (rank, down[0]) != core[:2]:
            parts = ((self.up, up), (self.core, core), (self.down, down))
            raise MisfitError(" @ ".join(f"{name} {list(shape)}" for name, shape in parts))
        return (out, _rest(down), *core[2:])

    def value(self, arrays: Arrays) -> Array:
        """The tensor, float32, of the shape `shape` tells."""
        if self.whole in arrays:
            return arrays[self.whole]
        up, down = _matrix(arrays[self.up]), _matrix(arrays[self.down])
        if self.core not in arrays:
            return (up @ down).reshape(len(up), *arrays[self.down].shape[1:])
        left = up.T if self.up_turned else up
        found: Array = np.einsum("ij...,oi,jc->oc...", arrays[self.core], left, down, optimize=True)
        return found

    def _core(self, shapes: Shapes) -> Shape | None:
        return shapes.get(self.core)


def _needed(shapes: Shapes, part: str) -> Shape:
    if part not in shapes:
        raise MisfitError(f"{part} is missing")
    return shapes[part]


def _rest(shape: Shape) -> int:
    return math.prod(shape[1:])


def _matrix(array: Array) -> Array:
    return array.reshape(array.shape[0], -1)
