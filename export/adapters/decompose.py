"""DoRA: the direction of a weight from the LoRA, its length from the file.

Liu et al. 2024, arXiv:2402.09353: W' = m (W + ΔW) / ‖W + ΔW‖, norms over all axes but one. PEFT
keeps a length for every output; LyCORIS for every input, or for every output where its scale has
that shape.
"""

import math

import numpy as np

from sakuga.export.adapters.factor import MisfitError
from sakuga.export.checkpoint.sources import Array, Shape


def lengths_axis(part: str, lengths: Shape, weight: Shape) -> int:
    """The axis of the weight that the lengths belong to: 0, outputs, or 1, inputs.

    Raises MisfitError where they fit neither.
    """
    count = math.prod(lengths)
    if part == "dora_scale" and lengths[:2] == (1, *weight[1:2]) and count == weight[1]:
        return 1
    if count == weight[0]:
        return 0
    raise MisfitError(f"{part} {list(lengths)} for {list(weight)}")


def decomposed(changed: Array, lengths: Array, axis: int) -> Array:
    """W + ΔW with every slice along `axis` scaled to its length; float32."""
    others = tuple(each for each in range(changed.ndim) if each != axis)
    squares = np.square(changed).sum(axis=others, keepdims=True, dtype=np.float64)
    norms = np.sqrt(squares).astype(np.float32)
    norms = np.maximum(norms, np.finfo(np.float32).tiny)  # a row of zeros stays one
    scaled: Array = changed * (lengths.reshape(norms.shape) / norms)
    return scaled
