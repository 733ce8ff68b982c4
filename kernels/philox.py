"""Normal numbers from a counter: Philox 4x32-10 followed by Box-Muller.

A number depends on (seed, draw, element) and on nothing else, so pictures never share a generator.
The stream is the one A1111 calls "NV". It imitates the CUDA generator: the counter words are
[draw, 0, element, 0], the key is the seed.
"""

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

# Source: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011, table 2.
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10

_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)

_UNIT = 2.0**-32
# The reference stores 2π / 2³² as a float32 and computes in float64.
_TURN = float(np.float32(2.0**-32 * 2.0 * np.pi))

_BLOCK = 8192  # elements whose six working arrays stay in a core's cache


def normals(seed: int, draw: int, count: int) -> NDArray[np.float32]:
    """`count` standard normal numbers of one draw, float32 [count].

    `seed` lies in [0, 2⁶⁴), `draw` in [0, 2³²). Element i is the same for every count.
    """
    assert 0 <= seed < 2**64 and 0 <= draw < 2**32
    out = np.empty(count, np.float32)
    for start in range(0, count, _BLOCK):
        size = min(_BLOCK, count - start)
        zeros = np.zeros(size, np.uint64)
        elements = np.arange(start, start + size, dtype=np.uint64)
        counter = (np.full(size, draw, np.uint64), zeros, elements, zeros.copy())
        philox(counter, (seed & 0xFFFFFFFF, seed >> 32))
        out[start : start + size] = _box_muller(counter[0], counter[1])
    return out


def philox(counter: tuple[Words, Words, Words, Words], key: tuple[int, int]) -> None:
    """Scramble counters in place with Philox 4x32-10.

    `counter` holds the four 32-bit words of every element in uint64 arrays [count] (the products
    need 64 bits), `key` the two 32-bit words of the key.
    """
    word0, word1, word2, word3 = counter
    key0, key1 = key
    product0, product1 = np.empty_like(word0), np.empty_like(word0)
    for _ in range(_ROUNDS):
        np.multiply(word0, _MULTIPLIERS[0], out=product0)
        np.multiply(word2, _MULTIPLIERS[1], out=product1)
        np.right_shift(product1, _HALF, out=word0)
        word0 ^= word1
        word0 ^= np.uint64(key0)
        np.bitwise_and(product1, _LOW, out=word1)
        np.right_shift(product0, _HALF, out=word2)
        word2 ^= word3
        word2 ^= np.uint64(key1)
        np.bitwise_and(product0, _LOW, out=word3)
        key0 = (key0 + _KEY_STEPS[0]) & 0xFFFFFFFF
        key1 = (key1 + _KEY_STEPS[1]) & 0xFFFFFFFF


def _box_muller(first: Words, second: Words) -> NDArray[np.float64]:
    radius = first.astype(np.float64)
    radius *= _UNIT
    radius += _UNIT / 2
    np.log(radius, out=radius)
    radius *= -2.0
    np.sqrt(radius, out=radius)
    angle = second.astype(np.float64)
    angle *= _TURN
    angle += _TURN / 2
    np.sin(angle, out=angle)
    radius *= angle
    return radius
