"""How a checkpoint asks to be sampled, as the configs of a diffusers folder say it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sakuga.engine.errors import CheckpointError
from sakuga.engine.manifest import TimestepSpacing
from sakuga.export.checkpoint.folder import read_config
from sakuga.profiles.families import Family

# The noise schedule of both families, under the names of a scheduler_config.json.
_TRAINING: Mapping[str, object] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "trained_betas": None,
}
_OTHER_NOISE = ("EDM", "FlowMatch")  # schedulers of these names know no betas

_SPACINGS: tuple[TimestepSpacing, ...] = ("leading", "trailing", "linspace")


@dataclass(frozen=True)
class SamplingSettings:
    """What diffusers reads from a folder beside the weights; the defaults are a single file's.

    `zero_absent_negative`: an absent negative prompt becomes zeros instead of an encoded "" (SDXL
    only). `timestep_spacing`: where the steps lie on the trained timesteps.
    """

    zero_absent_negative: bool = True
    timestep_spacing: TimestepSpacing = "leading"


def sampling_settings(folder: Path) -> SamplingSettings:
    """From model_index.json and scheduler_config.json; what they do not say is as in single files.

    Raises CheckpointError for a timestep spacing of another name.
    """
    index = read_config(folder / "model_index.json")
    scheduler = read_config(folder / "scheduler" / "scheduler_config.json")
    return SamplingSettings(
        zero_absent_negative=bool(index.get("force_zeros_for_empty_prompt", True)),
        timestep_spacing=_spacing(scheduler.get("timestep_spacing"), folder),
    )


def refuse_other_settings(folder: Path, family: Family) -> None:
    """Raise CheckpointError for another noise schedule or scale of latents than the family's.

    What a config does not say is taken to be as usual.
    """
    scheduler = read_config(folder / "scheduler" / "scheduler_config.json")
    kind = str(scheduler.get("_class_name", ""))
    other = _differences(scheduler, _TRAINING)
    if other or kind.startswith(_OTHER_NOISE):
        raise CheckpointError(
            f"{folder} was trained with another noise schedule than {family.name} models.",
            note=f"scheduler_config.json: {'; '.join(other) or kind}.",
            hint="Use another model, or correct scheduler/scheduler_config.json if it is wrong.",
        )
    scale = {
        "scaling_factor": family.vae.scaling_factor,
        "shift_factor": None,
        "latents_mean": None,
        "latents_std": None,
    }
    if other := _differences(read_config(folder / "vae" / "config.json"), scale):
        raise CheckpointError(
            f"{folder} has a VAE whose latents are scaled otherwise than in {family.name} models.",
            note=f"vae/config.json: {'; '.join(other)}.",
            hint="Use the model with its usual VAE, or correct vae/config.json if it is wrong.",
        )


def _differences(config: Mapping[str, object], usual: Mapping[str, object]) -> list[str]:
    return [
        f"{key} is {config[key]!r}, not {value!r}"[:120]
        for key, value in usual.items()
        if config.get(key) is not None and not _same(config[key], value)
    ]


def _same(found: object, usual: object) -> bool:
    if isinstance(found, int | float) and isinstance(usual, int | float):
        return math.isclose(found, usual, rel_tol=1e-6)
    return found == usual


def _spacing(stated: object, folder: Path) -> TimestepSpacing:
    if stated is None:
        return SamplingSettings.timestep_spacing
    for known in _SPACINGS:
        if stated == known:
            return known
    raise CheckpointError(
        f"{folder} asks for timesteps spaced {stated!r}.",
        note=f"Sakuga knows {', '.join(_SPACINGS)}.",
        hint="Correct timestep_spacing in scheduler/scheduler_config.json, or use another model.",
    )
