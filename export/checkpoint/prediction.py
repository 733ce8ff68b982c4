"""What a checkpoint's UNet predicts, as its files say it."""

from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Objective:
    """How the UNet was trained: what it predicts, and whether the last step is pure noise."""

    prediction: PredictionType
    zero_terminal_snr: bool


def objective_of_file(names: Mapping[str, object], metadata: Mapping[str, str]) -> Objective:
    """From the empty tensors `v_pred` and `ztsnr`, else the text `modelspec.prediction_type`."""
    stated = "v" if "v_pred" in names else metadata.get("modelspec.prediction_type", "")
    return Objective(_prediction(stated), "ztsnr" in names)


def objective_of_scheduler(config: Mapping[str, object]) -> Objective:
    """From a folder's scheduler_config.json."""
    stated = str(config.get("prediction_type", ""))
    return Objective(_prediction(stated), config.get("rescale_betas_zero_snr") is True)


def _prediction(stated: str) -> PredictionType:
    if stated not in _SPELLINGS:
        raise UnknownFamilyError(
            f"The checkpoint says it predicts {stated!r}.",
            note="Sakuga samples models that predict the noise (epsilon) or v.",
            hint="Use another checkpoint, or correct its metadata if that is wrong.",
        )
    return _SPELLINGS[stated]
