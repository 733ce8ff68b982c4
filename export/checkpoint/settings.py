"""How a checkpoint asks to be sampled, as the configs of a diffusers folder say it."""

from dataclasses import dataclass
from pathlib import Path

from sakuga.engine.errors import CheckpointError
from sakuga.engine.manifest import TimestepSpacing
from sakuga.export.checkpoint.folder import read_config

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
