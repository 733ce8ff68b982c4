"""The samplers by name, and what tools do differently around them.

A sampler is a function from a `Path` to a `SamplerTable` in `solvers/` and an entry in `SAMPLERS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from sakuga.engine.errors import UsageError
from sakuga.engine.sampling.levels import Schedule
from sakuga.engine.sampling.noise_schedule import NoiseSchedule
from sakuga.engine.sampling.own_timesteps import (
    Tail,
    ddim_tail,
    ddim_timesteps,
    unipc_tail,
    unipc_timesteps,
)
from sakuga.engine.sampling.schedules import letters_of, schedule_spellings
from sakuga.engine.sampling.solvers.ddim import ddim
from sakuga.engine.sampling.solvers.dpm2 import dpm2, dpm2_ancestral
from sakuga.engine.sampling.solvers.dpmpp_multi import dpmpp_2m, dpmpp_2m_heun, dpmpp_3m
from sakuga.engine.sampling.solvers.dpmpp_single import dpmpp_2s_ancestral
from sakuga.engine.sampling.solvers.euler import euler, euler_ancestral
from sakuga.engine.sampling.solvers.heun import heun
from sakuga.engine.sampling.solvers.lms import lms, lms_to_denoised
from sakuga.engine.sampling.solvers.restart import restart
from sakuga.engine.sampling.solvers.unipc import unipc, unipc_bh2, unipc_to_small
from sakuga.engine.sampling.spacings import ddim_levels, dpm2_levels, euler_levels, solver_levels
from sakuga.engine.sampling.table import Path, SamplerTable

Method = Callable[[Path], SamplerTable]


@dataclass(frozen=True)
class Sampler:
    """`label` is A1111's name of it, written into pictures; `spellings` are other known names.

    table: its method; `tables`: another one, by the name of the tool.
    eta: how much noise it puts back unless asked otherwise, None where η means nothing to it.
    draws: whether it adds noise that η does not scale.
    automatic: the schedule A1111 takes for it unless asked otherwise (a key of SCHEDULES).
    own: A1111's timesteps for it where schedules do not count; `own_tail`: those of a part of the
        way, by the steps of the whole and what A1111 keeps of them.
    diffusers: where diffusers' scheduler lays its levels.
    discards: the tools that ask for one level more and leave out the last but one.
    multistep: it looks back, so no two of its levels may be the same.
    tree: A1111 and ComfyUI draw its noise from a Brownian tree.
    """

    label: str
    spellings: tuple[str, ...]
    table: Method
    tables: Mapping[str, Method] = field(default_factory=dict[str, Method])
    eta: float | None = None
    draws: bool = False
    automatic: str = "normal"
    own: Callable[[NoiseSchedule, int], Schedule] | None = None
    own_tail: Callable[[NoiseSchedule, int, int], Tail] | None = None
    diffusers: Callable[[NoiseSchedule, int, str, str], Schedule] = euler_levels
    discards: tuple[str, ...] = ()
    multistep: bool = False
    tree: bool = False


SAMPLERS: dict[str, Sampler] = {
    "euler_a": Sampler(
        "Euler a",
        (
            "euler_ancestral",
            "k_euler_a",
            "k_euler_ancestral",
            "sample_euler_ancestral",
            "EulerAncestralDiscreteScheduler",
        ),
        euler_ancestral,
        eta=1.0,
    ),
    "euler": Sampler("Euler", ("k_euler", "sample_euler", "EulerDiscreteScheduler"), euler),
    "dpmpp_2m": Sampler(
        "DPM++ 2M",
        ("k_dpmpp_2m", "sample_dpmpp_2m", "DPMSolverMultistepScheduler"),
        dpmpp_2m,
        automatic="karras",
        diffusers=solver_levels,
        multistep=True,
    ),
    "dpmpp_2m_sde": Sampler(
        "DPM++ 2M SDE",
        ("k_dpmpp_2m_sde", "sample_dpmpp_2m_sde"),
        dpmpp_2m,
        eta=1.0,
        automatic="exponential",
        diffusers=solver_levels,
        multistep=True,
        tree=True,
    ),
    "dpmpp_2m_sde_heun": Sampler(
        "DPM++ 2M SDE Heun",
        ("k_dpmpp_2m_sde_heun",),
        dpmpp_2m_heun,
        eta=1.0,
        automatic="exponential",
        diffusers=solver_levels,
        multistep=True,
        tree=True,
    ),
    "dpmpp_3m_sde": Sampler(
        "DPM++ 3M SDE",
        ("k_dpmpp_3m_sde", "sample_dpmpp_3m_sde"),
        dpmpp_3m,
        eta=1.0,
        automatic="exponential",
        diffusers=solver_levels,
        multistep=True,
        discards=("a1111",),
        tree=True,
    ),
    "dpmpp_2s_a": Sampler(
        "DPM++ 2S a",
        ("dpmpp_2s_ancestral", "k_dpmpp_2s_a", "sample_dpmpp_2s_ancestral"),
        dpmpp_2s_ancestral,
        eta=1.0,
        automatic="karras",
    ),
    "ddim": Sampler(
        "DDIM",
        ("DDIMScheduler",),
        ddim,
        eta=0.0,
        own=ddim_timesteps,
        own_tail=ddim_tail,
        diffusers=ddim_levels,
    ),
    "unipc": Sampler(
        "UniPC",
        ("uni_pc", "UniPCMultistepScheduler"),
        unipc,
        {"comfy": unipc_to_small, "diffusers": unipc_bh2},
        own=unipc_timesteps,
        own_tail=unipc_tail,
        diffusers=solver_levels,
        multistep=True,
        discards=("comfy",),
    ),
    "heun": Sampler("Heun", ("k_heun", "sample_heun", "HeunDiscreteScheduler"), heun),
    "lms": Sampler(
        "LMS",
        ("k_lms", "sample_lms", "LMSDiscreteScheduler"),
        lms,
        {"comfy": lms_to_denoised},
        multistep=True,
    ),
    "dpm2": Sampler(
        "DPM2",
        ("k_dpm_2", "sample_dpm_2", "KDPM2DiscreteScheduler"),
        dpm2,
        automatic="karras",
        diffusers=dpm2_levels,
        discards=("a1111", "comfy"),
    ),
    "dpm2_a": Sampler(
        "DPM2 a",
        (
            "dpm_2_ancestral",
            "k_dpm_2_a",
            "sample_dpm_2_ancestral",
            "KDPM2AncestralDiscreteScheduler",
        ),
        dpm2_ancestral,
        eta=1.0,
        automatic="karras",
        diffusers=dpm2_levels,
        discards=("a1111", "comfy"),
    ),
    "restart": Sampler("Restart", (), restart, draws=True, automatic="karras"),
}


# Of A1111, ComfyUI and diffusers: what would get a wrong suggestion if it were not known as absent.
_ELSEWHERE = (
    "DPM++ SDE",
    "DPM fast",
    "DPM adaptive",
    "PLMS",
    "LCM",
    "DDPM",
    "TCD",
    "DEIS",
    "IPNDM",
)


def find_sampler(spelling: str) -> tuple[str, str | None]:
    """The key of `SAMPLERS` a person means, and of the schedule where the name carries one.

    Case, spaces, dashes and underscores do not matter; "DPM++ 2M Karras" is a sampler and a
    schedule. Raises UsageError that names the known samplers and the nearest one.
    """
    known = {
        letters_of(text): name
        for name, sampler in SAMPLERS.items()
        for text in (name, sampler.label, *sampler.spellings)
    }
    letters = letters_of(spelling)
    if letters in known:
        return known[letters], None
    for suffix, schedule in schedule_spellings().items():
        sampler = known.get(letters.removesuffix(suffix))
        if sampler is not None and letters.endswith(suffix):
            return sampler, schedule
    labels = ", ".join(sampler.label for sampler in SAMPLERS.values())
    if any(letters.startswith(letters_of(name)) for name in _ELSEWHERE):
        raise UsageError(
            f"The sampler {spelling!r} of other tools is not here.",
            note=f"Known samplers: {labels}.",
            hint="Choose another; pictures made with it come out otherwise.",
        )
    near = get_close_matches(letters, known, n=1)
    raise UsageError(
        f"There is no sampler called {spelling!r}.",
        note=f"Known samplers: {labels}.",
        hint=f"Did you mean {SAMPLERS[known[near[0]]].label!r}?" if near else "",
    )


def sampler_name(spelling: str) -> str:
    """The key of `SAMPLERS` a person means. Raises as `find_sampler`."""
    return find_sampler(spelling)[0]
