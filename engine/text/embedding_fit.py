"""Whether tensors are an embedding for a family, and which encoder each is for."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.text.chunks import PIECE
from sakuga.profiles.families import TextEncoder

_SINGLE = "emb_params"
_PAIR = ("clip_l", "clip_g")  # SDXL's encoders, in the family's order

Vectors = NDArray[np.float32]


class UnfitError(Exception):
    """Why something is no embedding for the family, in a few words."""


def fit(tensors: Mapping[str, Vectors], encoders: Sequence[TextEncoder]) -> dict[str, Vectors]:
    """The vectors for each encoder, [n, hidden], by its name.

    `tensors`: `clip_l` [n, 768] and `clip_g` [n, 1280] for SDXL; for SD1.5 `emb_params`, or one
    tensor of any name, [n, 768] or [768]. Raises UnfitError.
    """
    if tensors.keys() >= set(_PAIR):
        found = [tensors[key] for key in _PAIR]
    elif len(tensors) == 1:
        found = [*tensors.values()]
    elif _SINGLE in tensors:
        found = [tensors[_SINGLE]]
    else:
        raise UnfitError(f"it holds {', '.join(sorted(tensors)[:5]) or 'no tensor'}")
    found = [tensor[None] if tensor.ndim == 1 else tensor for tensor in found]
    widths = [f"{encoder.hidden}" for encoder in encoders]
    if [each.shape[1:] for each in found] != [(encoder.hidden,) for encoder in encoders]:
        here = " and ".join("x".join(map(str, each.shape[1:])) for each in found)
        raise UnfitError(f"its vectors have {here} numbers, this model's {' and '.join(widths)}")
    counts = {len(each) for each in found}
    if len(counts) > 1 or not 1 <= min(counts) <= PIECE:
        raise UnfitError(f"it has {' and '.join(map(str, sorted(counts)))} vectors")
    if not all(np.isfinite(each).all() for each in found):
        raise UnfitError("it holds NaN or infinity")
    return dict(zip((encoder.name for encoder in encoders), found, strict=True))
