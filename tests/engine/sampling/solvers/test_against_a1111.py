"""DDIM and UniPC as A1111 and ComfyUI have them, written out in their variance-preserving form.

Their latents are y = √ᾱ·x₀ + √(1 − ᾱ)·noise and go to the network unscaled; A1111's pictures end
a little above ᾱ = 1 and are not scaled back. A1111's own UniPC cannot sample v: it looks ᾱ up by
whole timesteps and walks on fractional ones. The table does, by the same formula.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from sakuga.engine.sampling.choice import choose
from sakuga.engine.sampling.compat import COMPATS
from sakuga.engine.sampling.plan import SamplerOptions, Training, sampling_table
from sakuga.engine.sampling.table import SamplerTable

F64 = NDArray[np.float64]
Network = Callable[[F64, float], F64]
Draw = Callable[[int], F64]
Play = Callable[[SamplerTable, Network, Draw], F64]

ALPHAS = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
EPS, V = Training(), Training("v_prediction")
STEPS = [2, 5, 20, 25, 28, 30, 50, 600]


def epsilon(network: Network, y: F64, alpha: float, timestep: float, training: Training) -> F64:
    out = network(y, timestep)
    if training.prediction == "epsilon":
        return out
    return math.sqrt(alpha) * out + math.sqrt(1 - alpha) * y


def ddim(network: Network, draw: Draw, steps: int, eta: float, training: Training) -> F64:
    timesteps = [min(t + 1, 999) for t in range(0, 1000, 1000 // steps)]
    y = draw(0)
    for number in range(1, len(timesteps)):
        index = len(timesteps) - number
        alpha, after = ALPHAS[timesteps[index]], ALPHAS[timesteps[index - 1]]
        eps = epsilon(network, y, alpha, timesteps[index], training)
        sigma = eta * math.sqrt((1 - after) / (1 - alpha) * (1 - alpha / after))
        x_0 = (y - math.sqrt(1 - alpha) * eps) / math.sqrt(alpha)
        y = math.sqrt(after) * x_0 + math.sqrt(1 - after - sigma**2) * eps + sigma * draw(number)
    return y


@pytest.mark.parametrize("training", [EPS, V])
@pytest.mark.parametrize("eta", [None, 0.4, 1.0])
@pytest.mark.parametrize("steps", STEPS)
def test_ddim(
    steps: int,
    eta: float | None,
    training: Training,
    play: Play,
    smooth_network: Network,
    draw: Draw,
) -> None:
    compat = COMPATS["a1111"]
    choice = choose(compat, "DDIM")
    table = sampling_table(compat, choice, steps, training, SamplerOptions(eta=eta))
    wanted = ddim(smooth_network, draw, steps, eta or 0.0, training)
    assert table.evaluations == len(range(0, 1000, 1000 // steps)) - 1
    assert table.steps == steps
    found = play(table, smooth_network, draw)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-10 * np.abs(wanted).max())


class Level(NamedTuple):
    alpha: float  # √ᾱ
    sigma: float  # √(1 − ᾱ)
    timestep: float

    @property
    def half_log_snr(self) -> float:
        return math.log(self.alpha) - math.log(self.sigma)


def unipc(network: Network, y: F64, levels: list[Level], order: int, training: Training) -> F64:
    """The paper's algorithm 2 with B(h) = −h; levels[-1] is where it ends."""

    def denoised(y: F64, level: Level) -> F64:
        eps = epsilon(network, y, level.alpha**2, level.timestep, training)
        return (y - level.sigma * eps) / level.alpha

    models = [denoised(y, levels[0])]
    for step in range(1, len(levels)):
        now, after = levels[step - 1], levels[step]
        p = min(order, step, len(levels) - step)
        h = after.half_log_snr - now.half_log_snr
        past = [levels[step - 1 - k].half_log_snr for k in range(1, p)]
        ratios = [(value - now.half_log_snr) / h for value in past] + [1.0]
        rows = np.array([[ratio**k for ratio in ratios] for k in range(p)])
        moments, phi, factorial = [], math.expm1(-h) / -h - 1, 1
        for k in range(1, p + 1):
            moments.append(phi * factorial / -h)
            factorial *= k + 1
            phi = phi / -h - 1 / factorial
        rho_p = {1: np.empty(0), 2: np.array([0.5])}.get(p)
        if rho_p is None:
            rho_p = np.linalg.solve(rows[:-1, :-1], moments[:-1])
        rho_c = np.array([0.5]) if p == 1 else np.linalg.solve(rows, moments)
        differences = [(models[-1 - k] - models[-1]) / ratios[k - 1] for k in range(1, p)]
        plain = after.sigma / now.sigma * y - after.alpha * math.expm1(-h) * models[-1]
        scale = after.alpha * -h
        y = plain - scale * sum(r * d for r, d in zip(rho_p, differences, strict=True))
        if step < len(levels) - 1:
            models.append(denoised(y, after))
            differences.append(models[-1] - models[-2])
            y = plain - scale * sum(r * d for r, d in zip(rho_c, differences, strict=True))
    return y


@pytest.mark.parametrize("training", [EPS, V])
@pytest.mark.parametrize("steps", [3, 4, 20, 25, 28, 30, 50])
def test_unipc(
    steps: int, training: Training, play: Play, smooth_network: Network, draw: Draw
) -> None:
    count = len(range(0, 1000, 1000 // steps))
    levels = []
    for t in np.linspace(1.0, 1 / 1000, count + 1):
        timestep = (t - 1 / 1000) * 1000
        log_alpha = np.interp(timestep, np.arange(1000), 0.5 * np.log(ALPHAS))
        alpha = math.exp(log_alpha)
        levels.append(Level(alpha, math.sqrt(1 - alpha**2), timestep))
    wanted = unipc(smooth_network, draw(0), levels, 3, training)
    compat = COMPATS["a1111"]
    table = sampling_table(compat, choose(compat, "UniPC"), steps, training)
    assert (table.steps, table.evaluations) == (steps, count)
    found = play(table, smooth_network, draw)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-10 * np.abs(wanted).max())


@pytest.mark.parametrize("steps", [1, 2, 3, 28])
def test_comfy_s_unipc(steps: int, play: Play, smooth_network: Network, draw: Draw) -> None:
    """One level more without the last but one, a last σ of 0.001, and the result scaled back."""
    compat = COMPATS["comfy"]
    timesteps = np.linspace(999, 0, steps + 1)[:-1]
    log_sigmas = 0.5 * np.log((1 - ALPHAS) / ALPHAS)
    sigmas = [*np.exp(np.interp(timesteps, np.arange(1000), log_sigmas)), 0.001]
    whole = [*np.ceil(np.round(timesteps, 6) - 0.5), 0.0]
    levels = [
        Level(1 / math.sqrt(1 + s**2), s / math.sqrt(1 + s**2), t)
        for s, t in zip(sigmas, whole, strict=True)
    ]
    order = max(1, min(3, steps - 1))
    wanted = unipc(smooth_network, draw(0), levels, order, EPS) * math.sqrt(1 + 0.001**2)
    table = sampling_table(compat, choose(compat, "uni_pc"), steps)
    found = play(table, smooth_network, draw)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-10 * np.abs(wanted).max())


@pytest.mark.parametrize("schedule", ["normal", "karras"])
def test_comfy_s_ddim_is_euler(schedule: str) -> None:
    compat = COMPATS["comfy"]
    ddim_table, euler_table = (
        sampling_table(compat, choose(compat, name, schedule), 28) for name in ("ddim", "euler")
    )
    for name in ("a", "b", "c", "c_in", "timestep", "init_scale"):
        ours, theirs = getattr(ddim_table, name), getattr(euler_table, name)
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)
