"""torch's normals without torch, against torch itself."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sakuga.engine.sampling.noise.cephes import log, sin_cos
from sakuga.engine.sampling.noise.torch_cpu import TorchDraws, TorchGenerator

# Elsewhere torch evaluates logarithm, sine and cosine in other ways.
EXACT = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
SEEDS = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 5))


def assert_torch_s(found: NDArray[np.float32], wanted: torch.Tensor) -> None:
    assert found.dtype == np.float32
    if EXACT:
        assert np.array_equal(found, wanted.numpy())
    else:
        assert np.abs(found - wanted.numpy()).max() <= 4e-6


@pytest.mark.parametrize(
    ("seed", "first"),
    [
        (0, (-1.12583983, -1.15236020, -0.25057858, -0.43387881)),
        (1, (-1.52559590, -0.75023180, -0.65398091, -1.60948479)),
        (42, (1.92691529, 1.48728406, 0.90071720, -2.10552096)),
    ],
)
def test_published_numbers(seed: int, first: tuple[float, ...]) -> None:
    found = TorchGenerator(seed).normals(4 * 152 * 104)
    assert found[:4].tolist() == pytest.approx(first, abs=4e-7)
    assert_torch_s(found, torch.randn(63232, generator=torch.Generator().manual_seed(seed)))


@settings(deadline=None, max_examples=60)
@given(SEEDS, st.lists(st.one_of(st.integers(1, 40), st.integers(1, 5000)), max_size=6))
def test_one_generator_draw_after_draw(seed: int, counts: list[int]) -> None:
    """Sizes below and above 16, and those that 16 does not divide, in any order."""
    ours, theirs = TorchGenerator(seed), torch.Generator().manual_seed(seed)
    for count in counts:
        assert_torch_s(ours.normals(count), torch.randn(count, generator=theirs))


@pytest.mark.parametrize("count", [1, 15, 16, 17, 2**14 - 1, 2**14, 2**14 + 17, 4 * 192 * 192])
def test_every_kind_of_size(count: int) -> None:
    generator = torch.Generator().manual_seed(31337)
    assert_torch_s(TorchGenerator(31337).normals(count), torch.randn(count, generator=generator))


def test_the_low_half_of_a_seed_counts() -> None:
    assert np.array_equal(TorchGenerator(2**32 + 7).normals(64), TorchGenerator(7).normals(64))


def test_draws_depend_on_their_numbers_alone() -> None:
    generator = TorchGenerator(9)
    wanted = [generator.normals(33) for _ in range(4)]
    draws = TorchDraws(9, 33)
    for number in (2, 2, 3, 0, 1, 0, 3):
        assert np.array_equal(draws.draw(number), wanted[number])


@given(st.lists(st.integers(1, 2**24), min_size=1, max_size=50))
def test_logarithms_are_near_the_true_ones(parts: list[int]) -> None:
    x = np.array(parts, np.float32) * np.float32(2.0**-24)
    assert np.allclose(log(x), np.log(x.astype(np.float64)), rtol=3e-7, atol=1e-8)


@given(st.lists(st.floats(0, 6.5, width=32), min_size=1, max_size=50))
def test_sines_are_near_the_true_ones(angles: list[float]) -> None:
    x = np.array(angles, np.float32)
    sin, cos = sin_cos(x)
    assert np.allclose(sin, np.sin(x.astype(np.float64)), rtol=0, atol=2e-7)
    assert np.allclose(cos, np.cos(x.astype(np.float64)), rtol=0, atol=2e-7)
