"""Every sampler against its formula, written out step by step in float64 as k-diffusion has it.

The σ lists, the timesteps and the samplers are this file's own, from the papers and the facts of
the tools; only ᾱ is shared. A picture is sampled whole, with a smooth network that depends on the
timestep, so that a wrong coefficient, timestep, draw or scale anywhere shows.

k-diffusion draws the noise of DPM++ 2M SDE and 3M SDE from a Brownian tree; here, as in the
tables, each step takes the next numbered draw.
"""

import itertools
import math
from collections.abc import Callable, Iterator
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


def zero_snr(alphas: F64) -> F64:
    root = np.sqrt(alphas)
    root = (root - root[-1]) * (root[0] / (root[0] - root[-1]))
    return np.append(root[:-1] ** 2, 4.8973451890853435e-08)


class Model(NamedTuple):
    """A network as k-diffusion sees it: D(x, σ), and draws in order."""

    network: Network
    alphas: F64
    prediction: str
    whole_timesteps: bool
    draws: Iterator[F64]

    @property
    def sigmas(self) -> F64:
        return np.sqrt((1 - self.alphas) / self.alphas)

    def timestep(self, sigma: float) -> float:
        distances = np.log(sigma) - np.log(self.sigmas)
        if self.whole_timesteps:
            best = np.abs(distances).min()
            return float(np.flatnonzero(np.abs(distances) <= best + 1e-9)[0])
        low = min(max(int((distances >= -1e-14).sum()) - 1, 0), 998)
        width = np.log(self.sigmas[low + 1]) - np.log(self.sigmas[low])
        return float(low + min(max(distances[low] / width, 0.0), 1.0))

    def __call__(self, x: F64, sigma: float) -> F64:
        out = self.network(x / math.sqrt(sigma**2 + 1), self.timestep(sigma))
        if self.prediction == "epsilon":
            return x - sigma * out
        return x / (sigma**2 + 1) - out * sigma / math.sqrt(sigma**2 + 1)


def log_sigma_at(model: Model, timestep: float) -> float:
    low = min(int(timestep), 998)
    share = timestep - low
    return float((1 - share) * np.log(model.sigmas[low]) + share * np.log(model.sigmas[low + 1]))


def sigmas_of(model: Model, schedule: str, n: int) -> list[float]:
    low, high = float(model.sigmas[0]), float(model.sigmas[-1])
    ramp = [i / (n - 1) for i in range(n)]
    if schedule == "normal":
        levels = [math.exp(log_sigma_at(model, 999 - 999 * r)) for r in ramp]
    elif schedule == "sgm_uniform":
        levels = [math.exp(log_sigma_at(model, 999 - 999 * i / n)) for i in range(n)]
    elif schedule == "simple":
        levels = [float(model.sigmas[-(1 + int(i * 1000 / n))]) for i in range(n)]
    elif schedule == "karras":
        levels = [(high ** (1 / 7) + r * (low ** (1 / 7) - high ** (1 / 7))) ** 7 for r in ramp]
    else:
        levels = [math.exp(math.log(high) + r * math.log(low / high)) for r in ramp]
    return [*levels, 0.0]


def up_and_down(sigma: float, after: float, eta: float) -> tuple[float, float]:
    up = min(after, eta * math.sqrt(after**2 * (sigma**2 - after**2) / sigma**2))
    return math.sqrt(after**2 - up**2), up


def euler(model: Model, x: F64, sigmas: list[float], eta: float) -> F64:
    for sigma, after in itertools.pairwise(sigmas):
        x = x + (x - model(x, sigma)) / sigma * (after - sigma)
    return x


def euler_a(model: Model, x: F64, sigmas: list[float], eta: float) -> F64:
    for sigma, after in itertools.pairwise(sigmas):
        down, up = up_and_down(sigma, after, eta)
        x = x + (x - model(x, sigma)) / sigma * (down - sigma)
        if after > 0:
            x = x + next(model.draws) * up
    return x


def heun(model: Model, x: F64, sigmas: list[float], eta: float) -> F64:
    for sigma, after in itertools.pairwise(sigmas):
        d = (x - model(x, sigma)) / sigma
        guess = x + d * (after - sigma)
        if after == 0:
            x = guess
        else:
            d_2 = (guess - model(guess, after)) / after
            x = x + (d + d_2) / 2 * (after - sigma)
    return x


def dpm2_a(model: Model, x: F64, sigmas: list[float], eta: float) -> F64:
    for sigma, after in itertools.pairwise(sigmas):
        d = (x - model(x, sigma)) / sigma
        down, up = up_and_down(sigma, after, eta)
        if down == 0:
            x = x - d * sigma
        else:
            middle = math.exp((math.log(sigma) + math.log(down)) / 2)
            guess = x + d * (middle - sigma)
            x = x + (guess - model(guess, middle)) / middle * (down - sigma)
            x = x + next(model.draws) * up
    return x


def dpm2(model: Model, x: F64, sigmas: list[float], eta: float) -> F64:
    return dpm2_a(model, x, sigmas, 0.0)


def dpmpp_2s_a(model: Model, x: F64, sigmas: list[float], eta: float) -> F64:
    for sigma, after in itertools.pairwise(sigmas):
        denoised = model(x, sigma)
        down, up = up_and_down(sigma, after, eta)
        if down == 0:
            x = x + (x - denoised) / sigma * (down - sigma)
        else:
            t, t_next = -math.log(sigma), -math.log(down)
            h = t_next - t
            s = t + h / 2
            guess = math.exp(-s) / math.exp(-t) * x - math.expm1(-h / 2) * denoised
            again = model(guess, math.exp(-s))
            x = math.exp(-t_next) / math.exp(-t) * x - math.expm1(-h) * again
        if after > 0:
            x = x + next(model.draws) * up
    return x


def dpmpp_2m(model: Model, x: F64, sigmas: list[float], eta: float) -> F64:
    old: F64 | None = None
    for i, (sigma, after) in enumerate(itertools.pairwise(sigmas)):
        denoised = model(x, sigma)
        if after == 0:
            return denoised
        h = math.log(sigma) - math.log(after)
        target = denoised
        if old is not None:
            r = (math.log(sigmas[i - 1]) - math.log(sigma)) / h
            target = (1 + 1 / (2 * r)) * denoised - 1 / (2 * r) * old
        x = after / sigma * x - math.expm1(-h) * target
        old = denoised
    return x


def sde(solver: str) -> Callable[[Model, F64, list[float], float], F64]:
    def sample(model: Model, x: F64, sigmas: list[float], eta: float) -> F64:
        old: F64 | None = None
        h_last = 0.0
        for sigma, after in itertools.pairwise(sigmas):
            denoised = model(x, sigma)
            if after == 0:
                return denoised
            h = math.log(sigma) - math.log(after)
            gone = -math.expm1(-h - eta * h)
            x = after / sigma * math.exp(-eta * h) * x + gone * denoised
            if old is not None:
                slope = (denoised - old) * h / h_last
                x = x + (gone / 2 if solver == "midpoint" else gone / (-h - eta * h) + 1) * slope
            if eta:
                share = math.sqrt(-math.expm1(-2 * eta * h))
                x = x + next(model.draws) * after * share
            old, h_last = denoised, h
        return x

    return sample


def dpmpp_3m_sde(model: Model, x: F64, sigmas: list[float], eta: float) -> F64:
    past: list[F64] = []
    hs: list[float] = []
    for sigma, after in itertools.pairwise(sigmas):
        denoised = model(x, sigma)
        if after == 0:
            return denoised
        h = math.log(sigma) - math.log(after)
        h_eta = h * (eta + 1)
        x = math.exp(-h_eta) * x - math.expm1(-h_eta) * denoised
        phi_2 = math.expm1(-h_eta) / h_eta + 1
        if len(past) >= 2:
            r0, r1 = hs[-1] / h, hs[-2] / h
            d1_0, d1_1 = (denoised - past[-1]) / r0, (past[-1] - past[-2]) / r1
            d1 = d1_0 + (d1_0 - d1_1) * r0 / (r0 + r1)
            d2 = (d1_0 - d1_1) / (r0 + r1)
            x = x + phi_2 * d1 - (phi_2 / h_eta - 0.5) * d2
        elif past:
            x = x + phi_2 * (denoised - past[-1]) / (hs[-1] / h)
        if eta:
            x = x + next(model.draws) * after * math.sqrt(-math.expm1(-2 * h * eta))
        past.append(denoised)
        hs.append(h)
    return x


def lms(model: Model, x: F64, sigmas: list[float], eta: float) -> F64:
    ds: list[F64] = []
    for i, (sigma, after) in enumerate(itertools.pairwise(sigmas)):
        ds.append((x - model(x, sigma)) / sigma)
        order = min(i + 1, 4)
        for j in range(order):
            basis = np.poly1d([1.0])
            for k in range(order):
                if k != j:
                    basis *= np.poly1d([1.0, -sigmas[i - k]]) / (sigmas[i - j] - sigmas[i - k])
            integral = basis.integ()
            x = x + (integral(after) - integral(sigma)) * ds[-1 - j]
    return x


def restart(model: Model, x: F64, sigmas: list[float], eta: float) -> F64:
    n = len(sigmas) - 1
    pairs = list(itertools.pairwise(sigmas))
    if n >= 20:
        again, times = (9, 1) if n < 36 else (n // 4, 2)
        down = between(sigmas[-2], sigmas[0], n - again * times)
        low = int(np.argmin(np.abs(np.array([*down, 0.0]) - 0.1)))
        high = int(np.argmin(np.abs(np.array([*down, 0.0]) - 2.0)))
        once = between(down[low], down[high], again + 1)
        pairs = []
        for i, pair in enumerate(zip(down, [*down[1:], 0.0], strict=True)):
            pairs.append(pair)
            if i + 1 == low:
                pairs += times * list(itertools.pairwise(once))
    before = pairs[0][0]
    for sigma, after in pairs:
        if before < sigma:
            x = x + next(model.draws) * math.sqrt(sigma**2 - before**2)
        x = heun(model, x, [sigma, after], 0.0)
        before = after
    return x


def between(low: float, high: float, n: int) -> list[float]:
    first, last = high ** (1 / 7), low ** (1 / 7)
    return [(first + i / (n - 1) * (last - first)) ** 7 for i in range(n)]


FORMULAS = {
    "Euler": euler,
    "Euler a": euler_a,
    "Heun": heun,
    "DPM2": dpm2,
    "DPM2 a": dpm2_a,
    "DPM++ 2S a": dpmpp_2s_a,
    "DPM++ 2M": dpmpp_2m,
    "DPM++ 2M SDE": sde("midpoint"),
    "DPM++ 2M SDE Heun": sde("heun"),
    "DPM++ 3M SDE": dpmpp_3m_sde,
    "LMS": lms,
    "Restart": restart,
}
DISCARDS = {"a1111": {"DPM2", "DPM2 a", "DPM++ 3M SDE"}, "comfy": {"DPM2", "DPM2 a"}}
COMFY = [name for name in FORMULAS if name != "LMS"]  # its own is tested below
STOCHASTIC = [name for name in FORMULAS if name.endswith(" a") or "SDE" in name]
SCHEDULES = ["normal", "karras", "exponential", "sgm_uniform", "simple"]
EPS, V, ZERO_SNR = Training(), Training("v_prediction"), Training("v_prediction", True)


class Case(NamedTuple):
    sampler: str
    schedule: str = "karras"
    tool: str = "a1111"
    steps: int = 28
    training: Training = EPS
    eta: float | None = None

    def table(self) -> SamplerTable:
        compat = COMPATS[self.tool]
        choice = choose(compat, self.sampler, self.schedule)
        options = SamplerOptions(eta=self.eta)
        return sampling_table(compat, choice, self.steps, self.training, options)

    def formula(self, network: Network, draw: Draw) -> F64:
        alphas = zero_snr(ALPHAS) if self.training.zero_terminal_snr else ALPHAS
        draws = (draw(number) for number in itertools.count(1))
        model = Model(network, alphas, self.training.prediction, self.tool == "comfy", draws)
        if self.sampler in DISCARDS[self.tool]:
            sigmas = sigmas_of(model, self.schedule, self.steps + 1)
            del sigmas[-2]
        else:
            sigmas = sigmas_of(model, self.schedule, self.steps)
        whole = self.tool == "comfy" and sigmas[0] >= model.sigmas[-1] * (1 - 1e-5)
        x = draw(0) * (math.sqrt(1 + sigmas[0] ** 2) if whole else sigmas[0])
        return FORMULAS[self.sampler](model, x, sigmas, 1.0 if self.eta is None else self.eta)


CASES = [
    *(Case(sampler, schedule) for sampler in FORMULAS for schedule in SCHEDULES),
    *(Case(sampler, training=V) for sampler in FORMULAS),
    *(Case(sampler, "normal", training=ZERO_SNR) for sampler in FORMULAS),
    *(Case(sampler, "sgm_uniform", "comfy", training=ZERO_SNR) for sampler in COMFY),
    *(Case(sampler, "normal", "comfy", 25) for sampler in COMFY),
    *(Case(sampler, steps=steps) for sampler in FORMULAS for steps in (2, 3, 20, 36, 50)),
    *(Case(sampler, eta=eta) for sampler in STOCHASTIC for eta in (0.0, 0.3)),
]


def text(case: Case) -> str:
    return " ".join(str(part) for part in (*case[:4], *vars(case.training).values(), case.eta))


@pytest.mark.parametrize("case", CASES, ids=text)
def test_a_picture_is_the_formula_s(
    case: Case, play: Play, smooth_network: Network, draw: Draw
) -> None:
    wanted = case.formula(smooth_network, draw)
    found = play(case.table(), smooth_network, draw)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9 * np.abs(wanted).max())


def test_comfy_ends_lms_with_what_is_denoised(
    play: Play, smooth_network: Network, draw: Draw
) -> None:
    """Its `sample_lms` takes D in the step to 0, where k-diffusion extrapolates."""
    comfy, plain = (Case("LMS", "normal", tool).table() for tool in ("comfy", "a1111"))
    np.testing.assert_array_equal(comfy.b[:-1], plain.b[:-1])
    assert (comfy.a[-1], comfy.d[-1].any()) == (1.0, False)
    sigma = math.sqrt(1 / comfy.c_in[-1] ** 2 - 1)
    assert comfy.b[-1] == pytest.approx(-sigma, rel=1e-9)
