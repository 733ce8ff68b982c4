"""Philox against published known answers, and the normals against A1111's NV source."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sakuga.kernels.philox import normals, philox

FIRST_OF_SEED_0 = [
    *(-0.9246624, -0.425344, -2.6438458, 0.14518388),
    *(-0.12086651, -0.5797257, -0.6228513, -0.32838714),
]
WORD = st.integers(0, 2**32 - 1)


def scramble(counter: tuple[int, ...], key: tuple[int, int]) -> list[int]:
    words = tuple(np.array([word], np.uint64) for word in counter)
    philox((words[0], words[1], words[2], words[3]), key)
    return [int(word[0]) for word in words]


def scramble_by_the_book(counter: tuple[int, ...], key: tuple[int, int]) -> list[int]:
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * c0, 2**32)
        high1, low1 = divmod(0xCD9E8D57 * c2, 2**32)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return [c0, c1, c2, c3]


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0,) * 4, (0, 0), [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        (
            (0xFFFFFFFF,) * 4,
            (0xFFFFFFFF, 0xFFFFFFFF),
            [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD],
        ),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_known_answers_of_random123(
    counter: tuple[int, ...], key: tuple[int, int], expected: list[int]
) -> None:
    assert scramble(counter, key) == expected


@given(st.tuples(WORD, WORD, WORD, WORD), st.tuples(WORD, WORD))
def test_equals_the_definition(counter: tuple[int, ...], key: tuple[int, int]) -> None:
    assert scramble(counter, key) == scramble_by_the_book(counter, key)


@pytest.mark.parametrize(
    ("seed", "draw", "expected"),
    [
        (0, 0, FIRST_OF_SEED_0),
        (0, 1, [0.18082589, -0.5522627, 0.9238134, -0.73497033]),
        (42, 0, [0.19401887, 2.1613739, -0.17205095, 0.84906]),
    ],
)
def test_values_of_the_nv_source(seed: int, draw: int, expected: list[float]) -> None:
    np.testing.assert_allclose(normals(seed, draw, len(expected)), expected, rtol=2e-7)


@settings(deadline=None)
@given(st.integers(0, 2**64 - 1), WORD, st.integers(0, 20000))
def test_an_element_does_not_depend_on_the_count(seed: int, draw: int, count: int) -> None:
    assert np.array_equal(normals(seed, draw, count), normals(seed, draw, 20000)[:count])


@settings(deadline=None)
@given(st.integers(0, 2**64 - 1), WORD, st.integers(0, 9000))
def test_every_element_is_its_own_function(seed: int, draw: int, element: int) -> None:
    first, second, _, _ = scramble((draw, 0, element, 0), (seed % 2**32, seed >> 32))
    turn = float(np.float32(2.3283064e-10 * 6.2831855))
    u, v = first * 2.0**-32 + 2.0**-33, second * turn + turn / 2
    expected = np.float32(math.sqrt(-2.0 * math.log(u)) * math.sin(v))
    assert normals(seed, draw, element + 1)[element] == pytest.approx(expected, rel=2e-7)


@pytest.mark.parametrize("bit", [0, 31, 32, 63])
def test_every_bit_of_the_seed_counts(bit: int) -> None:
    assert not np.array_equal(normals(7, 0, 16), normals(7 ^ 1 << bit, 0, 16))


def test_the_numbers_are_standard_normal_and_draws_are_unrelated() -> None:
    first, second = (normals(3, draw, 65536).astype(np.float64) for draw in (0, 1))
    assert abs(first.mean()) < 0.02
    assert abs(first.std() - 1) < 0.02
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.02
    assert np.isfinite(first).all()
