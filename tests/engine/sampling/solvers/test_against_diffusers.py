"""Every sampler against diffusers' scheduler of the same name, over a whole picture in float64.

Their tables are float32 where ours are float64, so a scheduler's module sees numpy and torch
through a `Wide`, whose `float32` is `float64`: their own code computes their own tables, wider.
Two things are handed to it: the numbered draws in place of its generator, and, for LMS, a stand-in
for scipy's quadrature (scipy is not installed), which is exact for the cubics it integrates.
"""

import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType, ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sakuga.engine.sampling.choice import choose
from sakuga.engine.sampling.compat import COMPATS
from sakuga.engine.sampling.plan import SamplerOptions, Training, sampling_table
from sakuga.engine.sampling.table import SamplerTable

torch.set_num_threads(1)
# diffusers hands torch tensors to NumPy in a way NumPy means to drop.
pytestmark = pytest.mark.filterwarnings("ignore:__array_:DeprecationWarning")
F64 = NDArray[np.float64]
Network = Callable[[F64, float], F64]
Draw = Callable[[int], F64]
Play = Callable[[SamplerTable, Network, Draw], F64]

FOLDER = "diffusers.schedulers.scheduling_"
SDE: dict[str, Any] = {"algorithm_type": "sde-dpmsolver++"}


class Scheduler(NamedTuple):
    """Module, class, and what its config needs to be ours."""

    module: str
    name: str
    config: Mapping[str, Any] = MappingProxyType({})
    stretches: bool = True  # whether it knows Karras' and the exponential levels
    zero_snr: bool = True  # whether it knows zero terminal SNR


SCHEDULERS = {
    "Euler": Scheduler("euler_discrete", "EulerDiscreteScheduler"),
    "Euler a": Scheduler(
        "euler_ancestral_discrete", "EulerAncestralDiscreteScheduler", stretches=False
    ),
    "Heun": Scheduler("heun_discrete", "HeunDiscreteScheduler", zero_snr=False),
    "LMS": Scheduler("lms_discrete", "LMSDiscreteScheduler", zero_snr=False),
    "DPM2": Scheduler("k_dpm_2_discrete", "KDPM2DiscreteScheduler", zero_snr=False),
    "DPM2 a": Scheduler(
        "k_dpm_2_ancestral_discrete", "KDPM2AncestralDiscreteScheduler", zero_snr=False
    ),
    "DPM++ 2M": Scheduler("dpmsolver_multistep", "DPMSolverMultistepScheduler"),
    "DPM++ 2M SDE": Scheduler("dpmsolver_multistep", "DPMSolverMultistepScheduler", SDE),
    "DPM++ 2M SDE Heun": Scheduler(
        "dpmsolver_multistep", "DPMSolverMultistepScheduler", SDE | {"solver_type": "heun"}
    ),
    "UniPC": Scheduler("unipc_multistep", "UniPCMultistepScheduler"),
    "DDIM": Scheduler(
        "ddim",
        "DDIMScheduler",
        {"set_alpha_to_one": False, "clip_sample": False},
        stretches=False,
    ),
}


class Wide:
    """A module whose float32 is float64."""

    def __init__(self, module: ModuleType, float64: object) -> None:
        self._module, self.float32 = module, float64

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._module, name)


class Draws:
    """Stands in for `randn_tensor`: hands out the numbered draws one after the other."""

    def __init__(self, draw: Draw) -> None:
        self.draw, self.number = draw, 0

    def __call__(self, *_: object, **__: object) -> torch.Tensor:
        self.number += 1
        return torch.from_numpy(self.draw(self.number))


def quadrature(function: Callable[[Any], Any], low: Any, high: Any, **_: object) -> tuple[Any, int]:  # noqa: ANN401
    points, weights = np.polynomial.legendre.leggauss(4)
    middle, half = (high + low) / 2, (high - low) / 2
    total = sum(w * function(middle + half * p) for p, w in zip(points, weights, strict=True))
    return half * total, 0


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, draw: Draw) -> Callable[..., Any]:
    def scheduler(kind: Scheduler, **config: object) -> Any:  # noqa: ANN401
        module = importlib.import_module(FOLDER + kind.module)
        monkeypatch.setattr(module, "np", Wide(np, np.float64))
        monkeypatch.setattr(module, "torch", Wide(torch, torch.float64))
        if hasattr(module, "randn_tensor"):
            monkeypatch.setattr(module, "randn_tensor", Draws(draw))
        if kind.module == "lms_discrete":
            stand_in = SimpleNamespace(quad=quadrature)
            monkeypatch.setattr(module, "integrate", stand_in, raising=False)
        return getattr(module, kind.name)(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            steps_offset=1,
            **kind.config,
            **config,
        )

    return scheduler


class Case(NamedTuple):
    sampler: str
    spacing: str = "leading"
    schedule: str | None = None
    training: Training = Training()
    eta: float | None = None
    steps: int = 28


EPS, V, ZERO_SNR = Training(), Training("v_prediction"), Training("v_prediction", True)
SPACINGS = ("leading", "trailing", "linspace")
CASES = [
    *(
        Case(sampler, spacing, training=training)
        for sampler in SCHEDULERS
        for spacing, training in (*((name, EPS) for name in SPACINGS), ("trailing", V))
    ),
    *(
        Case(sampler, spacing, schedule)
        for sampler, kind in SCHEDULERS.items()
        if kind.stretches
        for spacing in ("leading", "linspace")
        for schedule in ("karras", "exponential")
    ),
    *(
        Case(sampler, spacing, training=ZERO_SNR)
        for sampler, kind in SCHEDULERS.items()
        if kind.zero_snr
        for spacing in SPACINGS
    ),
    *(Case(sampler, "trailing", steps=steps) for sampler in SCHEDULERS for steps in (2, 20)),
    *(Case("DDIM", spacing, eta=eta) for spacing in SPACINGS for eta in (0.5, 1.0)),
]


def text(case: Case) -> str:
    parts = [*case[:3], *vars(case.training).values(), *case[4:]]
    return " ".join(str(part) for part in parts)


@pytest.mark.parametrize("case", CASES, ids=text)
def test_a_picture_is_diffusers(
    case: Case,
    make: Callable[..., Any],
    play: Play,
    smooth_network: Network,
    draw: Draw,
) -> None:
    config: dict[str, object] = {
        "prediction_type": case.training.prediction,
        "timestep_spacing": case.spacing,
    }
    if case.training.zero_terminal_snr:
        config["rescale_betas_zero_snr"] = True
    if case.schedule:
        config[f"use_{case.schedule}_sigmas"] = True
    scheduler = make(SCHEDULERS[case.sampler], **config)
    scheduler.set_timesteps(case.steps)
    extra = {} if case.eta is None else {"eta": case.eta}
    sample = torch.from_numpy(draw(0)) * scheduler.init_noise_sigma
    timesteps = []
    for timestep in scheduler.timesteps:
        timesteps.append(float(timestep))
        scaled = scheduler.scale_model_input(sample, timestep)
        output = torch.from_numpy(smooth_network(scaled.numpy(), float(timestep)))
        sample = scheduler.step(output, timestep, sample, return_dict=False, **extra)[0]
    assert sample.dtype == torch.float64

    compat = COMPATS["diffusers"]
    choice = choose(compat, case.sampler, case.schedule, case.spacing)
    table = sampling_table(compat, choice, case.steps, case.training, SamplerOptions(eta=case.eta))
    np.testing.assert_allclose(table.timestep, timesteps, rtol=1e-9, atol=1e-9)
    found = play(table, smooth_network, draw)
    wanted = sample.numpy()
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-10 * np.abs(wanted).max())
