"""UniPC: a multistep predictor whose steps are corrected by the evaluation that follows them.

Zhao et al. 2023 (arXiv:2302.04867), data prediction, divided by α: λ = −ln σ, h its growth over a
step. With m what was denoised, newest first, and D_k = (m_k − m_0)/r_k, r_k = (λ_k − λ_0)/h:

    x' = (σ'/σ)·x − (e⁻ʰ − 1)·m_0 − B(h)·Σ ρ_k·D_k

with one set of ρ for the predictor, and another for the corrector, whose sum also holds the new m
at r = 1. So the corrected latent differs from the predicted one by a sum of m's alone, and only
m's have to be kept.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sakuga.engine.sampling.noise_schedule import Array
from sakuga.engine.sampling.rows import ZERO, Form, Rows
from sakuga.engine.sampling.table import Path, SamplerTable

ORDER = 3  # of A1111's and ComfyUI's
_Scale = Callable[[float], float]  # B(h)


def unipc(path: Path) -> SamplerTable:
    """A1111's: order 3, B(h) = −h ("bh1"). Of fewer than 3 steps, which it refuses, a lower one."""
    return _walk(path, min(ORDER, len(path.schedule.starts)), _bh1)


def unipc_to_small(path: Path) -> SamplerTable:
    """ComfyUI's: the same on a path that ends at σ 0.001 instead of 0."""
    ends = path.schedule.ends.copy()
    ends[-1] = 0.001
    path = replace(path, schedule=replace(path.schedule, ends=ends))
    return _walk(path, max(1, min(ORDER, len(ends) - 1)), _bh1)


def unipc_bh2(path: Path) -> SamplerTable:
    """diffusers': order 2, B(h) = e⁻ʰ − 1 ("bh2")."""
    return _walk(path, 2, _bh2)


def _bh1(h: float) -> float:
    return -h


def _bh2(h: float) -> float:
    return math.expm1(-h)


class _Update(NamedTuple):
    """B, and of each past m its r and both its ρ; `new` is the corrector's ρ of the new m."""

    scale: float
    ratios: Sequence[float]
    predictor: Sequence[float]
    corrector: Sequence[float]
    new: float


def _walk(path: Path, order: int, scale: _Scale) -> SamplerTable:
    rows = Rows(path, memory=order)
    lambdas: list[float] = []  # newest first
    update: _Update | None = None
    count = len(path.schedule.starts)
    for index, step in enumerate(path):
        x, denoised = rows.evaluate(step.sigma, step.timestep)
        if update is not None:
            x = x + _correction(rows, update, denoised)
        lambdas = [-math.log(step.sigma), *lambdas]
        h = math.log(step.sigma / step.end) if step.end else math.inf
        update = _update(lambdas, h, min(order, index + 1, count - index), scale)
        past = [rows.kept(age + 1) for age in range(len(update.ratios))]
        latent = step.end / step.sigma * x - math.expm1(-h) * denoised
        latent = latent - update.scale * _sum(update.predictor, update.ratios, past, denoised)
        rows.step(step.rescale * latent, keep=denoised)
    return rows.table()


def _correction(rows: Rows, update: _Update, denoised: Form) -> Form:
    """Corrected latent less predicted: the ρ exchanged, and the new m taken in."""
    newest = rows.kept()
    past = [rows.kept(age + 2) for age in range(len(update.ratios))]
    exchanged = np.subtract(update.predictor, update.corrector).tolist()
    known = _sum(exchanged, update.ratios, past, newest)
    return update.scale * (known - update.new * (denoised - newest))


def _sum(
    weights: Sequence[float], ratios: Sequence[float], past: Sequence[Form], newest: Form
) -> Form:
    parts = zip(weights, ratios, past, strict=True)
    return sum((weight / r * (m - newest) for weight, r, m in parts), start=ZERO)


def _update(lambdas: Sequence[float], h: float, order: int, scale: _Scale) -> _Update:
    if order == 1:
        return _Update(scale(h) if h < math.inf else 0.0, (), (), (), 0.5)
    ratios = [(known - lambdas[0]) / h for known in lambdas[1:order]]
    powers = np.vander([*ratios, 1.0], increasing=True).T
    moments = _moments(h, order) / scale(h)
    predictor = np.linalg.solve(powers[:-1, :-1], moments[:-1]) if order > 2 else np.array([0.5])
    corrector = np.linalg.solve(powers, moments)
    return _Update(scale(h), ratios, predictor.tolist(), corrector[:-1].tolist(), corrector[-1])


def _moments(h: float, order: int) -> Array:
    """k!·h·φ_{k+1}(h) for k from 1 to the order, of −h."""
    phi, factorial, moments = math.expm1(-h) / -h - 1, 1.0, []
    for k in range(1, order + 1):
        moments.append(phi * factorial)
        factorial *= k + 1
        phi = phi / -h - 1 / factorial
    return np.array(moments)
