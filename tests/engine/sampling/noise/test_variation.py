"""Variations and resized seeds, against the formulas in torch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sakuga.engine.sampling.noise.variation import centred, slerp
from sakuga.kernels.philox import normals

SHAPE = (4, 20, 16)
F32 = NDArray[np.float32]


def noise(seed: int, shape: tuple[int, ...] = SHAPE) -> F32:
    return normals(seed, 0, int(np.prod(shape))).reshape(shape)


def slerp_in_torch(strength: float, low: F32, high: F32) -> F32:
    """Shoemake 1985 for every column, with the norms along the height, in torch's float32."""
    a, b = torch.from_numpy(low), torch.from_numpy(high)
    units = (each / each.norm(dim=1, keepdim=True) for each in (a, b))
    angle = torch.acos(torch.stack(list(units)).prod(0).sum(1, keepdim=True))
    parts = torch.sin((1 - strength) * angle) * a + torch.sin(strength * angle) * b
    return np.asarray(parts / torch.sin(angle))


@given(st.floats(0, 1), st.integers(0, 99), st.integers(100, 199))
def test_an_arc(strength: float, low: int, high: int) -> None:
    found = slerp(strength, noise(low), noise(high))
    assert found.dtype == np.float32
    assert np.allclose(found, slerp_in_torch(strength, noise(low), noise(high)), rtol=0, atol=2e-6)


def test_a_variation_is_as_strong_as_noise() -> None:
    assert slerp(0.5, noise(1), noise(2)).std() == pytest.approx(1, abs=0.05)
    assert np.allclose(slerp(0.0, noise(1), noise(2)), noise(1), atol=1e-6)
    assert np.allclose(slerp(1.0, noise(1), noise(2)), noise(2), atol=1e-6)


def test_nearly_the_same_noise_goes_the_wrong_way_as_in_a1111() -> None:
    low = noise(1)
    high = low * np.float32(1.5)
    assert np.array_equal(slerp(0.25, low, high), low * np.float32(0.25) + high * np.float32(0.75))
    assert np.array_equal(slerp(0.25, low, low), low)


def test_columns_without_an_arc_stay_finite() -> None:
    low, high = noise(1, (4, 1, 9)), noise(2, (4, 1, 9))
    assert np.isfinite(slerp(0.3, low, high)).all()
    same = noise(3)
    same[:, :, 4] = noise(1)[:, :, 4]
    found = slerp(0.3, noise(1), same)
    assert np.allclose(found[:, :, 4], noise(1)[:, :, 4], atol=1e-2)


def test_smaller_noise_lies_in_the_middle() -> None:
    inner, outer = noise(1, (4, 6, 5)), noise(1, (4, 10, 8))
    found = centred(inner, outer)
    assert np.array_equal(found[:, 2:8, 1:6], inner)
    rest = np.ones((10, 8), bool)
    rest[2:8, 1:6] = False
    assert np.array_equal(found[:, rest], outer[:, rest])


def test_of_larger_noise_the_middle_is_taken() -> None:
    inner, outer = noise(1, (4, 10, 8)), noise(1, (4, 6, 5))
    found = centred(inner, outer)
    # Three columns too many: A1111 takes two away on either side, and leaves the last.
    assert np.array_equal(found[:, :, :4], inner[:, 2:8, 2:6])
    assert np.array_equal(found[:, :, 4], outer[:, :, 4])


@given(*[st.integers(1, 12)] * 4)
def test_any_sizes_fit(width: int, height: int, inner_width: int, inner_height: int) -> None:
    inner = np.ones((4, inner_height, inner_width), np.float32)
    found = centred(inner, np.zeros((4, height, width), np.float32))
    rows, columns = found[0].max(axis=1), found[0].max(axis=0)
    for covered, inside, outside in (
        (int(rows.sum()), inner_height, height),
        (int(columns.sum()), inner_width, width),
    ):
        odd_rest = (inside - outside) % 2 if inside > outside else 0
        assert covered in (min(inside, outside) - odd_rest, 0)
