"""What a checkpoint's UNet predicts: as its files say it, or as the person who builds says it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sakuga.engine.errors import UnknownFamilyError

PredictionType = Literal["epsilon", "v_prediction"]

_SPELLINGS: Mapping[str, PredictionType] = {
    "": "epsilon",
    "eps": "epsilon",
    "epsilon": "epsilon",
    "v": "v_prediction",
    "v_prediction": "v_prediction",
}
_PARAMETERIZATION = re.compile(r"""^\s*parameterization:\s*["']?(\w+)""", re.MULTILINE)
_YAML_CHARACTERS = 1 << 16


@dataclass(frozen=True)
class Stated:
    """What the files say: `prediction` in their spelling, "" where they say nothing."""

    prediction: str
    zero_terminal_snr: bool


@dataclass(frozen=True)
class Objective:
    """How the UNet was trained: what it predicts, and whether the last step is pure noise."""

    prediction: PredictionType
    zero_terminal_snr: bool


def stated_by_file(path: Path, names: Mapping[str, object], metadata: Mapping[str, str]) -> Stated:
    """From the empty tensors `v_pred` and `ztsnr` (ComfyUI PR 5573, A1111 PR 16567).

    Without `v_pred`: from `parameterization` in a .yaml of the file's name, as A1111 reads it,
    else from the text `modelspec.prediction_type`.
    """
    spelt = "v" if "v_pred" in names else _beside(path.with_suffix(".yaml"))
    return Stated(spelt or metadata.get("modelspec.prediction_type", ""), "ztsnr" in names)


def stated_by_scheduler(config: Mapping[str, object]) -> Stated:
    """From a folder's scheduler_config.json."""
    spelt = config.get("prediction_type")
    zero_terminal_snr = config.get("rescale_betas_zero_snr") is True
    return Stated("" if spelt is None else str(spelt), zero_terminal_snr)


def settle(stated: Stated, prediction: PredictionType | None, zero_terminal_snr: bool) -> Objective:
    """What holds: the build's word where there is one, else the files', else epsilon.

    Raises UnknownFamilyError where only the files say it, and name something unknown.
    """
    if prediction is None:
        if stated.prediction not in _SPELLINGS:
            raise _unknown(stated.prediction)
        prediction = _SPELLINGS[stated.prediction]
    return Objective(prediction, zero_terminal_snr or stated.zero_terminal_snr)


def contradiction(stated: Stated, objective: Objective) -> str:
    """A sentence where the files say that something else is predicted, else nothing."""
    spelt, used = stated.prediction, objective.prediction
    if not spelt or _SPELLINGS.get(spelt) == used:
        return ""
    return f"The checkpoint says it predicts {spelt!r}; {used} is used, as asked for."


def _beside(path: Path) -> str:
    """The `parameterization` of an ldm config: `eps` or `v`; nothing where there is none."""
    try:
        with path.open(encoding="utf-8") as file:
            found = _PARAMETERIZATION.search(file.read(_YAML_CHARACTERS))
    except (OSError, ValueError):
        return ""
    return found[1] if found else ""


def _unknown(spelt: str) -> UnknownFamilyError:
    return UnknownFamilyError(
        f"The checkpoint says it predicts {spelt!r}.",
        note="Sakuga samples models that predict the noise (epsilon) or v.",
        hint="Use another checkpoint, or build with --prediction if what it says is wrong.",
    )
