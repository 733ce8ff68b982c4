"""The numbers of `torch.randn` on a CPU generator, without torch: A1111's noise source "CPU".

32-bit words of a Mersenne twister, of which 24 make a uniform number, pairs of which Box-Muller
turns into normals. Source: ATen/native/cpu/DistributionTemplates.h and
ATen/core/DistributionsHelper.h of PyTorch, 2.13.
"""

import math

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.sampling.noise.cephes import Values, log, sin_cos

LANES = 8  # torch pairs number j of a block with number j + 8
BLOCK = 2 * LANES
_CACHED = 1024 * BLOCK  # words whose working arrays stay in a core's cache
_FULL_TURN = np.float32(2 * np.pi)


class TorchGenerator:
    """`torch.Generator().manual_seed(seed)`: float32 normals, in order.

    They are torch's to the bit where it runs its AVX2 kernels, as it does on x86 processors with
    AVX2 or AVX-512 under Linux; elsewhere torch's own numbers differ from these by some 2e-6.
    Of a seed in [0, 2⁶⁴) only the low 32 bits count, as in torch.
    """

    def __init__(self, seed: int) -> None:
        # NumPy keeps this class for its streams, which are frozen; the seeding is MT19937's own.
        self._twister = np.random.RandomState(seed & 0xFFFFFFFF)
        self._spare: float | None = None

    def normals(self, count: int) -> Values:
        """`torch.randn(count)`: the next standard normals, float32 [count]."""
        if count < BLOCK:
            return np.array([self._normal() for _ in range(count)], np.float32)
        uniforms = self._uniforms(count)
        whole = count - count % BLOCK
        out = np.empty(count, np.float32)
        for start in range(0, whole, _CACHED):
            end = min(start + _CACHED, whole)
            out[start:end] = _box_muller(uniforms[start:end])
        if whole < count:  # the last block is drawn anew, over the end of the one before
            out[-BLOCK:] = _box_muller(self._uniforms(BLOCK))
        return out

    def _words(self, count: int) -> NDArray[np.uint32]:
        return self._twister.randint(0, 2**32, count, np.uint32)

    def _uniforms(self, count: int) -> Values:
        """In [0, 1), multiples of 2⁻²⁴."""
        return (self._words(count) & 0xFFFFFF).astype(np.float32) * np.float32(2.0**-24)

    def _uniform(self) -> float:
        """In [0, 1), a multiple of 2⁻⁵³."""
        high, low = self._words(2).tolist()
        return float((high << 32 | low) % 2**53) / 2**53

    def _normal(self) -> float:
        """Few numbers are drawn one by one in float64, and each second one is kept for later."""
        if self._spare is not None:
            found, self._spare = self._spare, None
            return found
        angle = 2 * math.pi * self._uniform()
        radius = math.sqrt(-2 * math.log1p(-self._uniform()))
        self._spare = radius * math.sin(angle)
        return radius * math.cos(angle)


class TorchDraws:
    """Draws 0, 1, … of `count` numbers each from one generator, by their numbers.

    The last one is remembered. Going back starts over, so a draw depends on its number alone.
    """

    def __init__(self, seed: int, count: int) -> None:
        self._seed, self._count = seed, count
        self._generator, self._number = TorchGenerator(seed), -1
        self._last: Values = np.empty(0, np.float32)

    def draw(self, number: int) -> Values:
        """Draw `number`, float32 [count]."""
        if number < self._number:
            self._generator, self._number = TorchGenerator(self._seed), -1
        while self._number < number:
            self._last = self._generator.normals(self._count)
            self._number += 1
        return self._last


def _box_muller(uniforms: Values) -> Values:
    """Pairs of uniforms [blocks · BLOCK] to as many normals."""
    first, second = uniforms.reshape(-1, 2, LANES).swapaxes(0, 1)
    radius = np.sqrt(np.float32(-2) * log(np.float32(1) - first))
    sin, cos = sin_cos(_FULL_TURN * second)
    return np.stack([radius * cos, radius * sin], axis=1).ravel()
