"""A1111's `parameters` text: the settings of a picture as people and tools read them."""

import json
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Infotext:
    """The settings that make a picture again. None: not known, or not used.

    `sampler` and `schedule` are the names people know ("Euler a", "Karras"); `model_hash` the
    first ten hex digits of the checkpoint's SHA-256; `rng` names the noise source ("NV").
    `negative_zeroed`: zeros stood for the negative prompt. `eta` and `s_noise` are those of the
    sampler's noise.
    """

    prompt: str
    negative_prompt: str | None = None
    steps: int
    sampler: str
    schedule: str
    guidance: float
    seed: int
    width: int
    height: int
    model_hash: str | None = None
    model: str | None = None
    clip_skip: int | None = None
    rng: str
    compat: str = "a1111"
    negative_zeroed: bool = False
    version: str
    eta: float | None = None
    s_noise: float | None = None


def write_infotext(info: Infotext) -> str:
    """The text: the prompt, the negative prompt if there is one, one line of settings.

    Keys, order and quoting are A1111's; readers take a missing key for A1111's default, so
    values equal to it are left out. `Compat` is added where it is not a1111.
    """
    lines = [info.prompt]
    if info.negative_prompt:
        lines.append(f"Negative prompt: {info.negative_prompt}")
    lines.append(", ".join(f"{key}: {_quote(text)}" for key, text in _settings(info).items()))
    return "\n".join(lines).strip()


def _settings(info: Infotext) -> dict[str, str]:
    usual = 1 if info.compat != "diffusers" else None  # what a missing key means
    clip_skip = info.clip_skip if info.clip_skip != usual else None
    zeroed = info.negative_zeroed and info.compat == "diffusers"  # elsewhere the text tells
    values = {
        "Steps": info.steps,
        "Sampler": info.sampler,
        "Schedule type": info.schedule,
        "CFG scale": _short(info.guidance),
        "Seed": info.seed,
        "Size": f"{info.width}x{info.height}",
        "Model hash": info.model_hash,
        "Model": info.model,
        "Clip skip": clip_skip,
        "RNG": info.rng,
        "Compat": None if info.compat == "a1111" else info.compat,
        "Eta DDIM" if info.sampler == "DDIM" else "Eta": _optional(info.eta),
        "Sigma noise": _optional(info.s_noise),
        "Negative zeroed": "True" if zeroed else None,
        "Version": f"sakuga {info.version}",
    }
    return {key: str(value) for key, value in values.items() if value is not None}


def _short(number: float) -> str:
    return repr(float(number)).removesuffix(".0")


def _optional(number: float | None) -> str | None:
    return None if number is None else _short(number)


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if set(text) & set(',\n:"') else text
