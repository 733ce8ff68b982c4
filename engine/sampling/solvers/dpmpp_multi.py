"""DPM-Solver++ that remembers what it denoised before. One evaluation a step.

Lu et al. 2022 (arXiv:2211.01095) in the form of k-diffusion: λ = −ln σ, h is its growth over a
step, and η adds noise. A1111 and ComfyUI draw the noise of the SDE samplers from a Brownian tree;
what a step takes of it is a standard normal number, independent of the other steps'. Here it is
the next draw of the seed: the same distribution, and so another picture than theirs.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sakuga.engine.sampling.rows import ZERO, Form, Rows
from sakuga.engine.sampling.table import Path, SamplerTable


class _Slope(NamedTuple):
    """A backward difference of what was denoised, in units of this step, and its own length."""

    change: Form
    ratio: float


_Correction = Callable[[float, Sequence[_Slope]], Form]  # of (1 + η)·h and the slopes, newest first


def dpmpp_2m(path: Path) -> SamplerTable:
    """k-diffusion's `sample_dpmpp_2m`; with η above 0 its `sample_dpmpp_2m_sde`, "midpoint"."""
    return _walk(path, 1, _midpoint)


def dpmpp_2m_heun(path: Path) -> SamplerTable:
    """k-diffusion's `sample_dpmpp_2m_sde` with `solver_type` "heun"."""
    return _walk(path, 1, _second_order)


def dpmpp_3m(path: Path) -> SamplerTable:
    """k-diffusion's `sample_dpmpp_3m_sde`."""
    return _walk(path, 2, _third_order)


def _walk(path: Path, memory: int, correction: _Correction) -> SamplerTable:
    rows = Rows(path, memory)
    lengths: list[float] = []  # h of the steps before, newest first
    for step in path:
        x, denoised = rows.evaluate(step.sigma, step.timestep)
        if step.end == 0:
            rows.step(denoised)
            continue
        h = math.log(step.sigma / step.end)
        growth = (1 + path.eta) * h
        x = math.exp(-growth) * x - math.expm1(-growth) * denoised
        x = x + correction(growth, _slopes(rows, denoised, h, lengths))
        if path.eta > 0:
            x = x + rows.noise(step.end * math.sqrt(-math.expm1(-2 * path.eta * h)))
        rows.step(x, keep=denoised)
        lengths = [h, *lengths][:memory]
    return rows.table()


def _slopes(rows: Rows, denoised: Form, h: float, lengths: Sequence[float]) -> list[_Slope]:
    points = [denoised, *(rows.kept(age) for age in range(1, len(lengths) + 1))]
    return [
        _Slope((points[age] - points[age + 1]) * h / length, length / h)
        for age, length in enumerate(lengths)
    ]


def _midpoint(growth: float, slopes: Sequence[_Slope]) -> Form:
    return -math.expm1(-growth) / 2 * slopes[0].change if slopes else ZERO


def _second_order(growth: float, slopes: Sequence[_Slope]) -> Form:
    return _phi_2(growth) * slopes[0].change if slopes else ZERO


def _third_order(growth: float, slopes: Sequence[_Slope]) -> Form:
    if len(slopes) < 2:
        return _second_order(growth, slopes)
    (newer, near), (older, far) = slopes
    bend = (newer - older) / (near + far)
    phi_3 = _phi_2(growth) / growth - 0.5
    return _phi_2(growth) * (newer + near * bend) - phi_3 * bend


def _phi_2(growth: float) -> float:
    return math.expm1(-growth) / growth + 1
