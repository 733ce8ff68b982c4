"""What A1111 does to the noise of a first latent: a variation of it, and another size.

Source: `slerp` and `ImageRNG.first` in A1111's modules/rng.py.
"""

import numpy as np

from sakuga.engine.sampling.noise.sources import Latent

NEAR = 0.9995  # mean cosine from which A1111 takes a straight line


def slerp(strength: float, low: Latent, high: Latent) -> Latent:
    """From `low` a share of the way along the arc to `high`, column by column in float32.

    Both float32 [4, height, width], `strength` from 0 to 1. A1111 takes the norms along the
    height, and where the two are nearly the same a straight line, the wrong way around; so does
    this. A column with no arc to go along, which A1111 fills with NaN, takes the straight line
    the right way.
    """
    rest, share = np.float32(1 - strength), np.float32(strength)
    norms = [np.sqrt(np.sum(noise * noise, axis=1, keepdims=True)) for noise in (low, high)]
    cosine: Latent = np.sum(low / norms[0] * (high / norms[1]), axis=1, keepdims=True)
    if cosine.mean() > NEAR:
        of_low, of_high = np.full_like(cosine, share), np.full_like(cosine, rest)
    else:
        angle = np.arccos(np.clip(cosine, -1, 1))
        sine = np.sin(angle)
        flat = sine == 0
        sine[flat] = 1
        of_low = np.where(flat, rest, np.sin(rest * angle) / sine)
        of_high = np.where(flat, share, np.sin(share * angle) / sine)
    found: Latent = np.multiply(of_low, low)
    found += np.multiply(of_high, high)
    return found


def centred(inner: Latent, outer: Latent) -> Latent:
    """`outer` with `inner` in its middle, or the middle of `inner` where that is larger.

    Both float32 [4, height, width]. Where the sides differ by an odd number, A1111 keeps one
    column or row less of a larger `inner` than there is room for.
    """
    found = outer.copy()
    into, from_ = zip(*map(_overlap, inner.shape[1:], outer.shape[1:]), strict=True)
    found[:, into[0], into[1]] = inner[:, from_[0], from_[1]]
    return found


def _overlap(inner: int, outer: int) -> tuple[slice, slice]:
    """Where a side lies in the other, and what of it."""
    margin = (outer - inner) // 2
    length = inner + 2 * min(margin, 0)
    start, skipped = max(margin, 0), max(-margin, 0)
    return slice(start, start + length), slice(skipped, skipped + length)
