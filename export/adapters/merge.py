"""Merging: W' = W + weight · ΔW, in float32, one tensor at a time, LoRA by LoRA."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from sakuga.engine.errors import TensorError
from sakuga.export.adapters.decompose import decomposed, lengths_axis
from sakuga.export.adapters.factor import Arrays, MisfitError
from sakuga.export.adapters.kinds import Kind
from sakuga.export.adapters.match import BIASES, LENGTHS, Change
from sakuga.export.checkpoint.sources import Array


@dataclass(frozen=True)
class Update:
    """A change at a weight that is not 0."""

    change: Change
    weight: float


class Merger:
    """Gives tensors with the updates of theirs, in the order of the updates."""

    def __init__(self, updates: Iterable[Update]) -> None:
        self._weights: dict[str, list[Update]] = {}
        self._biases: dict[str, list[Update]] = {}
        for update in updates:
            change = update.change
            name = f"{change.component}/{change.module}"
            if change.kind is not None:
                self._weights.setdefault(f"{name}.weight", []).append(update)
            if any(part in change.keys for part in BIASES):
                self._biases.setdefault(f"{name}.bias", []).append(update)

    def merged(self, name: str, values: Array) -> Array:
        """The tensor `component/name` with everything merged, float32; untouched ones as they come.

        Raises TensorError for a part or a result that is not finite, and parts that do not fit.
        """
        weights, biases = self._weights.get(name, ()), self._biases.get(name, ())
        if not weights and not biases:
            return values
        with np.errstate(over="ignore", invalid="ignore"):  # what is lost is told below
            current = values.astype(np.float32)
            for update in weights:
                current = _checked(name, _with_weight(update, current), update.change)
            for update in biases:
                current = _checked(name, _with_bias(update, current), update.change)
        return current


def _with_weight(update: Update, weight: Array) -> Array:
    change, kind = update.change, update.change.kind
    assert kind is not None
    arrays = _read(change, change.keys.keys() - set(BIASES))
    delta = _delta(change, kind, arrays, weight)
    for part in LENGTHS:
        if part in arrays:
            axis = lengths_axis(part, arrays[part].shape, weight.shape)
            delta = decomposed(weight + delta, arrays[part], axis) - weight
    return weight + np.float32(update.weight) * delta


def _delta(change: Change, kind: Kind, arrays: Arrays, weight: Array) -> Array:
    try:
        delta = kind.delta(arrays, weight).reshape(weight.shape)
    except MisfitError as error:
        raise TensorError(
            f"{change.lora.path} does not fit {change.component}/{change.module}.weight.",
            note=f"{', '.join(change.keys.values())}: {error}.",
            hint="Download it again, or use another LoRA.",
        ) from None
    return delta * np.float32(_scale(change, kind, arrays))


def _scale(change: Change, kind: Kind, arrays: Arrays) -> float:
    """alpha / rank, for kinds and forms without a rank 1; without alpha what PEFT says."""
    rank = kind.rank(change.shapes)
    if "alpha" not in arrays:
        return change.lora.scale(change.component, change.module, rank)
    return 1.0 if rank is None else float(arrays["alpha"].reshape(-1)[0]) / rank


def _with_bias(update: Update, bias: Array) -> Array:
    """`diff_b` is a difference; PEFT's bias of the second layer counts with the pair's scale."""
    change, kind = update.change, update.change.kind
    for part, array in _read(change, change.keys.keys() & set(BIASES)).items():
        scale = 1.0
        if part == "up_bias" and kind is not None:
            scale = _scale(change, kind, _read(change, change.keys.keys() & {"alpha"}))
        bias = bias + np.float32(update.weight * scale) * array
    return bias


def _read(change: Change, parts: Iterable[str]) -> Mapping[str, Array]:
    found: dict[str, Array] = {}
    for part in parts:
        key = change.keys[part]
        array = change.lora.file.read(key).astype(np.float32, copy=False)
        if not np.isfinite(array).all():
            raise TensorError(
                f"{key} of {change.lora.path} holds NaN or infinity.",
                note=f"{np.count_nonzero(~np.isfinite(array)):,} of its {array.size:,} values are "
                "not finite; it would make every picture black.",
                hint="The LoRA is damaged: download it again, or use another.",
            )
        found[part] = array
    return found


def _checked(name: str, values: Array, change: Change) -> Array:
    if not np.isfinite(values).all():
        raise TensorError(
            f"{name} overflows with {change.lora.path} merged.",
            note=f"It changes it by {', '.join(change.keys.values())}.",
            hint="Give the LoRA a smaller weight, or leave it out.",
        )
    return values
