"""The step against its formula, bit for bit, and what it promises not to read or write."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sakuga.kernels.denoise_step import SCRATCH, Coefficients, denoise_step

F32 = NDArray[np.float32]
Precision = type[np.float16] | type[np.float32]


@dataclass
class Slot:
    latent: F32
    histories: F32
    outputs: NDArray[np.floating[Any]]
    noise: F32
    inputs: NDArray[np.floating[Any]]
    scratch: F32

    def step(self, weights: list[float], coefficients: Coefficients, noise: F32 | None) -> None:
        denoise_step(
            self.latent,
            self.histories,
            self.outputs,
            weights,
            coefficients,
            noise,
            self.inputs,
            self.scratch,
        )


def slot(
    seed: int, histories: int, rows: int, next_rows: int, precision: Precision = np.float32
) -> Slot:
    rng = np.random.default_rng(seed)
    shape = (4, 3, 5)

    def draw(*leading: int) -> F32:
        return rng.standard_normal((*leading, *shape), np.float32)

    return Slot(
        latent=draw(),
        histories=draw(histories),
        outputs=draw(rows).astype(precision),
        noise=draw(),
        inputs=np.full((next_rows, *shape), np.nan, precision),
        scratch=np.full((SCRATCH, *shape), np.nan, np.float32),
    )


COEFFICIENT = st.one_of(st.just(0.0), st.floats(-20, 20, width=32))


@settings(deadline=None)
@given(
    st.data(),
    st.integers(0, 3),
    st.integers(1, 3),
    st.integers(0, 3),
    st.sampled_from([np.float16, np.float32]),
)
def test_equals_the_formula_bit_for_bit(
    data: st.DataObject, histories: int, rows: int, next_rows: int, precision: Precision
) -> None:
    it = slot(data.draw(st.integers(0, 99)), histories, rows, next_rows, precision)
    weights = data.draw(st.lists(COEFFICIENT, min_size=rows, max_size=rows))
    a, b, c, e, f = (data.draw(COEFFICIENT) for _ in range(5))
    d = tuple(data.draw(COEFFICIENT) for _ in range(histories))
    write = data.draw(st.integers(0, histories - 1)) if histories else 0
    if not histories:
        e = f = 0.0
    k = np.float32
    eps = k(weights[0]) * it.outputs[0].astype(np.float32)
    for weight, output in zip(weights[1:], it.outputs[1:], strict=True):
        eps = eps + k(weight) * output.astype(np.float32)
    expected = k(a) * it.latent + k(b) * eps + k(c) * it.noise
    for weight, history in zip(d, it.histories, strict=True):
        expected = expected + k(weight) * history
    kept = it.histories.copy()
    if e or f:
        kept[write] = k(e) * it.latent + k(f) * eps

    it.step(weights, Coefficients(a, b, c, d, e, f, write, 0.25), it.noise)

    assert np.array_equal(it.latent, expected)
    assert np.array_equal(it.histories, kept)
    for row in it.inputs:
        assert np.array_equal(row, (expected * k(0.25)).astype(precision))


def test_a_zero_coefficient_reads_nothing() -> None:
    it = slot(1, 2, 1, 2)
    it.histories[0] = np.nan
    other = it.histories[1].copy()
    it.step([1.0], Coefficients(1, -0.5, 0, (0, 1), 0, 0, 0, 1), None)
    assert np.isfinite(it.latent).all()
    assert np.isnan(it.histories[0]).all()
    assert np.array_equal(it.histories[1], other)


def test_a_history_is_read_before_it_is_overwritten() -> None:
    it = slot(2, 1, 1, 1)
    x, old, eps = it.latent.copy(), it.histories[0].copy(), it.outputs[0].copy()
    it.step([1.0], Coefficients(0, 0, 0, (1,), 2, 3, 0, 1), None)
    assert np.array_equal(it.latent, old)
    assert np.array_equal(it.histories[0], np.float32(2) * x + np.float32(3) * eps)


def test_three_histories_walked_as_a_ring_sum_the_last_three_outputs() -> None:
    it = slot(3, 3, 1, 1)
    start, outputs = it.latent.copy(), []
    for step in range(9):
        it.outputs[:] = np.random.default_rng(step).standard_normal(it.outputs.shape)
        known = tuple(1.0 if step >= 3 else 0.0 for _ in range(3))
        it.latent[:] = start
        it.step([1.0], Coefficients(0, 0, 0, known, 0, 1, step % 3, 1), None)
        if step >= 3:
            np.testing.assert_allclose(it.latent, sum(outputs[-3:]), rtol=1e-5, atol=1e-6)
        outputs.append(it.outputs[0].copy())


def test_rows_may_lie_in_several_calls() -> None:
    together, apart = slot(4, 0, 2, 2), slot(4, 0, 2, 2)
    coefficients = Coefficients(1, -0.5, 0.1, (), 0, 0, 0, 0.3)
    together.step([7.0, -6.0], coefficients, together.noise)
    rows = [apart.outputs[0].copy(), apart.outputs[1].copy()]
    inputs = [np.empty_like(row) for row in rows]
    denoise_step(
        apart.latent,
        apart.histories,
        rows,
        [7.0, -6.0],
        coefficients,
        apart.noise,
        inputs,
        apart.scratch,
    )
    assert np.array_equal(together.latent, apart.latent)
    assert np.array_equal(together.inputs, np.stack(inputs))


def test_a_weight_for_every_row_and_a_coefficient_for_every_history() -> None:
    it = slot(5, 1, 2, 1)
    with pytest.raises(ValueError, match="zip"):
        it.step([1.0], Coefficients(1, 1, 0, (0,), 0, 0, 0, 1), None)
    with pytest.raises(ValueError, match="zip"):
        it.step([1.0, 1.0], Coefficients(1, 1, 0, (), 0, 0, 0, 1), None)
