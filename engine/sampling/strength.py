"""How much of the way a picture goes again: each tool's rule from strength and steps to levels.

Sources: `setup_img2img_steps` of A1111's modules/sd_samplers_common.py and its samplers' img2img;
ComfyUI's `KSampler.set_steps` in comfy/samplers.py; `get_timesteps` of diffusers' pipelines.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from sakuga.engine.errors import UsageError
from sakuga.engine.sampling.levels import Schedule

A1111_MOST = 0.999  # A1111 never goes the whole way
WHOLE = 0.9999  # from here ComfyUI does


@dataclass(frozen=True)
class Strength:
    """How strongly a picture is made anew, from 0 to 1.

    `steps` are "given", all of them are done and the schedule is longer, or "shared", of which a
    part is done. A1111 shares them in image to image and gives them to a hires pass; ComfyUI
    always gives them, diffusers always shares. `masked`: whether a part is painted alone, which
    diffusers begins from noise alone at strength 1.
    """

    value: float
    steps: Literal["shared", "given"] = "shared"
    masked: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.value <= 1:
            raise UsageError(
                f"A strength cannot be {self.value}.",
                hint="Give a number from 0, which changes next to nothing, to 1, which keeps next "
                "to nothing.",
            )


class Share(NamedTuple):
    """Of a schedule with so many `steps` its last ones: `kept` of them."""

    steps: int
    kept: int


def share_of(tool: str, strength: Strength, steps: int) -> Share:
    """What part of which schedule the tool walks. Raises UsageError where that is no step."""
    if tool == "comfy":
        if strength.value <= 0:
            raise _nothing(tool, strength, steps)
        return Share(steps if strength.value > WHOLE else int(steps / strength.value), steps)
    if tool == "diffusers":
        kept = min(int(steps * strength.value), steps)
        if kept < 1:
            raise _nothing(tool, strength, steps)
        return Share(steps, kept)
    value = min(strength.value, A1111_MOST)
    if strength.steps == "shared":
        return Share(steps, int(value * steps) + 1)
    if value == 0:
        raise _nothing(tool, strength, steps)
    return Share(int(steps / value), steps)


def tail(levels: Schedule, kept: int) -> Schedule:
    """The last steps of a schedule."""
    first = max(len(levels.starts) - kept, 0)
    return Schedule(
        levels.starts[first:],
        levels.ends[first:],
        levels.timesteps[first:],
        levels.variance_preserving,
    )


def check_length(share: Share, strength: Strength, steps: int, most: int) -> None:
    """Raises UsageError for a schedule the model has not levels enough for."""
    if share.steps > most:
        raise UsageError(
            f"{steps} steps at strength {strength.value} are the end of {share.steps} steps.",
            note=f"The model knows {most} noise levels.",
            hint="Ask for fewer steps or a higher strength.",
        )


def _nothing(tool: str, strength: Strength, steps: int) -> UsageError:
    return UsageError(
        f"Strength {strength.value} leaves nothing to do in {steps} steps.",
        note=f"It is {tool}'s rule.",
        hint="Ask for a higher strength or more steps.",
    )
