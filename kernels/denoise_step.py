"""One model evaluation's arithmetic, for any sampler: guidance, update, history, next model input.

    ê  = Σ w_r · output_r                        over the rows of the slot, then held (`guide`)
    x' = a·x + b·ê + c·noise + Σ d_k · h_k       summed from left to right, then held
    h' = e·x + f·ê                               from the old x, over history buffer `write`
    model input = c_in · x', held                rounded to the input's type, once for each row

Every product and every sum is rounded to float32; nothing is fused. A term whose coefficient is
zero is left out, not multiplied, so what it would have read may be anything.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sakuga.kernels.guide import UNHELD, Guide, Hold, Latent, held, hold_prediction
from sakuga.kernels.model_inputs import Row, model_inputs

SCRATCH = 3  # latents of working memory a step needs


class Coefficients(NamedTuple):
    """What one evaluation does; rounded to float32 when used.

    `d` has one entry for each history buffer of the sampler, in the order of the buffers and not
    of their age: a sampler with several walks around them by naming in `write` the one to
    overwrite. With `e` and `f` both zero nothing is written. `c_in` scales the next model input.
    """

    a: float
    b: float
    c: float
    d: tuple[float, ...]
    e: float
    f: float
    write: int
    c_in: float


def denoise_step(
    latent: Latent,
    histories: Sequence[Latent] | NDArray[np.float32],
    outputs: Iterable[Row],
    weights: Sequence[float],
    coefficients: Coefficients,
    noise: Latent | None,
    next_inputs: Iterable[Row],
    scratch: NDArray[np.float32],
    guide: Guide | None = None,
    hold: Hold = UNHELD,
) -> None:
    """Advance one slot by one evaluation, in place.

    latent: x, float32 [4, height, width]; becomes x'. histories: as many buffers of that shape as
    `coefficients.d` has entries. outputs: the network's rows of this slot, float16 or float32,
    with one weight each. noise: float32, needed where `c` is not zero. next_inputs: the rows of
    the next call that belong to this slot; there may be none, or more or fewer than outputs.
    scratch: float32 [SCRATCH, 4, height, width], overwritten. guide: what the slot is held to,
    as `hold` says; None where it is free.
    """
    eps, term, kept = scratch
    weighted_sum(outputs, weights, eps, term)
    a, b, c, d, e, f, write, c_in = coefficients
    if guide is not None:
        hold_prediction(eps, latent, guide, hold)
    keeps = e != 0 or f != 0
    if keeps:
        np.multiply(latent, np.float32(e), out=kept)
        add_product(kept, f, eps, term)
    latent *= np.float32(a)
    add_product(latent, b, eps, term)
    if c != 0:
        assert noise is not None
        add_product(latent, c, noise, term)
    for weight, history in zip(d, histories, strict=True):
        add_product(latent, weight, history, term)
    if keeps:
        histories[write][...] = kept
    if guide is not None:
        latent[...] = held(latent, guide, hold.kept)
        latent = held(latent, guide, hold.shown)
    model_inputs(latent, c_in, next_inputs)


def weighted_sum(
    outputs: Iterable[Row], weights: Sequence[float], total: Latent, term: Latent
) -> None:
    """ê into `total`; `term` is overwritten."""
    target = total
    for weight, output in zip(weights, outputs, strict=True):
        np.multiply(output, np.float32(weight), out=target, dtype=np.float32)
        if target is term:
            total += term
        target = term


def add_product(total: Latent, weight: float, values: Latent, term: Latent) -> None:
    """Add weight · values to `total`, unless the weight is zero; `term` is overwritten."""
    if weight != 0:
        np.multiply(values, np.float32(weight), out=term)
        total += term
