"""Painting a part of a picture alone: what the rest of a latent is held to at each evaluation.

With m the mask, 1 where the picture is painted anew, and a mix of two numbers,

    held(x, mix) = m·x + (1 − m)·(mix₀·picture + mix₁·noise)
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Latent = NDArray[np.float32]
Mix = tuple[float, float]

FREE: Mix = (0.0, 0.0)  # nothing is held


class Guide(NamedTuple):
    """What a slot is held to; float32 [4, height, width] each.

    picture: the latent of what is there. noise: its first noise, None where no mix has any.
    mask: 1 where it is painted anew, 0 where it stays; the same in all channels.
    """

    picture: Latent
    noise: Latent | None
    mask: Latent


class Hold(NamedTuple):
    """How an evaluation is held; all zero where it is not.

    With x the latent and ê what the network predicts, `seen` the mix of the model input that this
    evaluation had, ê becomes m·ê + (1 − m)·p·picture + q·(x − m·held(x, seen)). `kept` is the mix
    of x', `shown` that of the next model input.
    """

    p: float = 0.0
    q: float = 0.0
    seen: Mix = FREE
    kept: Mix = FREE
    shown: Mix = FREE


UNHELD = Hold()


def held(values: Latent, guide: Guide, mix: Mix) -> Latent:
    """The formula above; `values` itself where nothing is held. A mix with no noise reads none."""
    if mix[0] == 0:
        return values
    rest = guide.picture * np.float32(mix[0])
    if mix[1] != 0:
        assert guide.noise is not None
        rest += guide.noise * np.float32(mix[1])
    rest *= np.float32(1) - guide.mask
    out: Latent = values * guide.mask
    out += rest
    return out


def hold_prediction(eps: Latent, latent: Latent, guide: Guide, hold: Hold) -> None:
    """ê in place, from the latent before the step."""
    if hold.p == 0:
        return
    eps *= guide.mask
    rest = guide.picture * np.float32(hold.p)
    rest *= np.float32(1) - guide.mask
    eps += rest
    rest = latent - guide.mask * held(latent, guide, hold.seen)
    rest *= np.float32(hold.q)
    eps += rest
