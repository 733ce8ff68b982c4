"""Orthogonal fine-tuning: the outputs of a layer, turned in blocks.

OFT (Qiu et al. 2023, arXiv:2306.07280) turns each block of outputs by the Cayley transform of a
skew-symmetric Q: R = (I + Q)(I − Q)⁻¹. BOFT (Liu et al. 2024, arXiv:2311.06243) turns in several
layers, in each of which a block pairs outputs that lie twice as far apart as before: a butterfly.
The blocks' layout is that of LyCORIS and kohya's scripts.
"""

import math

import numpy as np

from sakuga.export.adapters.factor import Arrays, MisfitError, Shapes
from sakuga.export.checkpoint.sources import Array, Shape


def rotated_shape(shapes: Shapes, weight: Shape) -> Shape:
    """The weight's own shape. Raises MisfitError where the blocks do not fill its outputs."""
    blocks, rescale = shapes.get("oft_blocks", ()), shapes.get("rescale")
    if len(blocks) not in (3, 4) or blocks[-1] != blocks[-2]:
        raise MisfitError("square blocks, in a row or in layers, make OFT")
    if blocks[-3] * blocks[-2] != weight[0] or not weight[0]:
        raise MisfitError(f"blocks {list(blocks)} for {weight[0]} outputs")
    if len(blocks) == 4 and (not blocks[0] or blocks[-1] % 2 or weight[0] % _reach(blocks)):
        raise MisfitError(f"{blocks[0]} layers of blocks of {blocks[-1]} for {weight[0]} outputs")
    if rescale is not None and math.prod(rescale) != weight[0]:
        raise MisfitError(f"rescale {list(rescale)} for {weight[0]} outputs")
    return weight


def rotation_delta(arrays: Arrays, weight: Array) -> Array:
    """ΔW of OFT, of BOFT where its blocks lie in layers. `alpha` is no scale here: alpha times the
    number of outputs limits the length of Q, and `rescale` has a factor for each output."""
    limit = float(arrays["alpha"].reshape(-1)[0]) * len(weight) if "alpha" in arrays else 0.0
    turns = _cayley(arrays["oft_blocks"], limit).astype(np.float32)
    rows = weight.reshape(len(weight), -1)
    turned = _butterfly(turns, rows) if turns.ndim == 4 else _diagonal(turns, rows)
    if "rescale" in arrays:
        turned = turned * arrays["rescale"].reshape(-1, 1)
    delta: Array = (turned - rows).reshape(weight.shape)
    return delta


def _cayley(blocks: Array, limit: float) -> Array:
    """(I + Q)(I − Q)⁻¹ of Q = B − Bᵀ, which is made no longer than `limit`, all blocks together;
    float64. A limit of 0 is none."""
    skew = blocks.astype(np.float64)
    skew = skew - skew.swapaxes(-1, -2)
    length = float(np.sqrt(np.square(skew).sum()))
    if 0 < limit < length:
        skew *= limit / length
    one = np.eye(skew.shape[-1])
    turns: Array = np.linalg.solve(one - skew, one + skew)  # the two factors commute
    return turns


def _diagonal(turns: Array, rows: Array) -> Array:
    """Each block turned by itself; a row vector of outputs is multiplied from the right."""
    count, size, _ = turns.shape
    turned: Array = turns.swapaxes(-1, -2) @ rows.reshape(count, size, -1)
    return turned.reshape(rows.shape)


def _butterfly(turns: Array, rows: Array) -> Array:
    """Layer by layer: outputs `apart` from each other become neighbours, blocks turn, and all go
    back to their places."""
    _, count, size, _ = turns.shape
    for layer, each in enumerate(turns):
        apart = 2**layer * size // 2
        near = rows.reshape(-1, 2, apart, rows.shape[1]).swapaxes(1, 2)
        turned = each @ near.reshape(count, size, -1)
        rows = turned.reshape(-1, apart, 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)
    return rows


def _reach(blocks: Shape) -> int:
    """How many outputs lie between the first and the last that the last layer pairs, and one."""
    return int(blocks[-1]) << (blocks[0] - 1)
