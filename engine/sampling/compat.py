"""Whose picture to match: each tool's habits as a bundle of small named rules."""

from dataclasses import dataclass
from typing import Literal

from sakuga.engine.errors import UsageError
from sakuga.engine.sampling.masking import MaskRule
from sakuga.kernels.to_rgb8 import Rounding


@dataclass(frozen=True)
class Compat:
    """The rules of one tool.

    schedule: the noise levels it visits unless asked otherwise. "automatic", the sampler's own;
        "normal"; "spacing", as the checkpoint asks diffusers to.
    timesteps: "continuous", fractional as the schedule gives them; "discrete", the nearest of the
        thousand trained ones.
    first_noise: the scale of the first latent. "sigma", σ₀; "sigma_or_variance", √(1 + σ₀²)
        when the schedule starts at the model's largest σ, else σ₀; "by_spacing", √(1 + σ₀²) for
        "leading" and for multistep solvers, else σ₀.
    rng: where noise comes from unless asked otherwise (`noise.sources`). diffusers has no noise of
        its own; its documents advise a generator on the processor.
    terminal_alpha: the last ᾱ of a model trained with zero terminal SNR, instead of 0.
    rounding: how pixels become bytes.
    zeroed_negative: which negative prompt becomes zeros instead of being encoded (SDXL only):
        "empty", exactly ""; "absent", none given; "never".
    mask: how what lies outside a mask is kept (`sampling.masking`), but for samplers with
        timesteps of their own.
    samples_encoding: whether a picture's latent is drawn from what the VAE's encoder says of it,
        by the first numbers of the generator; else it is the middle of that.
    long_prompt: whose rule cuts a prompt of more than 75 tokens (`text.chunks`).
    """

    name: str
    schedule: Literal["automatic", "normal", "spacing"]
    timesteps: Literal["continuous", "discrete"]
    first_noise: Literal["sigma", "sigma_or_variance", "by_spacing"]
    rng: str
    terminal_alpha: float
    rounding: Rounding
    zeroed_negative: Literal["empty", "absent", "never"]
    mask: MaskRule
    samples_encoding: bool
    long_prompt: Literal["a1111", "comfy", "diffusers"]


COMPATS = {
    "a1111": Compat(
        name="a1111",
        schedule="automatic",
        timesteps="continuous",
        first_noise="sigma",
        rng="NV",
        terminal_alpha=4.8973451890853435e-08,
        rounding="truncate",
        zeroed_negative="empty",
        mask="denoised",
        samples_encoding=False,
        long_prompt="a1111",
    ),
    "comfy": Compat(
        name="comfy",
        schedule="normal",
        timesteps="discrete",
        first_noise="sigma_or_variance",
        rng="ComfyUI",
        terminal_alpha=4.8973451890853435e-08,
        rounding="truncate",
        zeroed_negative="never",
        mask="seen_and_denoised",
        samples_encoding=False,
        long_prompt="comfy",
    ),
    "diffusers": Compat(
        name="diffusers",
        schedule="spacing",
        timesteps="continuous",
        first_noise="by_spacing",
        rng="CPU",
        terminal_alpha=2.0**-24,
        rounding="round",
        zeroed_negative="absent",
        mask="latent",
        samples_encoding=True,
        long_prompt="diffusers",
    ),
}


def find_compat(name: str) -> Compat:
    """The rules called `name`. Raises UsageError that names the known ones."""
    if name not in COMPATS:
        raise UsageError(
            f"There is no compat mode called {name!r}.", hint=f"Use one of {', '.join(COMPATS)}."
        )
    return COMPATS[name]
