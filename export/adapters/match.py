"""Which tensors of a family a LoRA changes. Everything is checked before a tensor is read."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sakuga.engine.errors import TensorError, UnknownFamilyError
from sakuga.export.adapters.decompose import lengths_axis
from sakuga.export.adapters.factor import MisfitError
from sakuga.export.adapters.kinds import Kind, fits, kind_of
from sakuga.export.adapters.lora_file import LoraFile
from sakuga.export.adapters.origin import origin
from sakuga.export.adapters.spellings import modules_by_spelling
from sakuga.export.checkpoint.sources import Shape
from sakuga.export.counted import counted
from sakuga.profiles.families import Family
from sakuga.profiles.weights import weights

LENGTHS = ("dora_scale", "magnitude")
BIASES = ("diff_b", "up_bias")
_SHOWN = 3


@dataclass(frozen=True)
class Change:
    """What a file does to one module: `kind` to its weight, None where only to its bias."""

    lora: LoraFile
    component: str
    module: str
    kind: Kind | None
    keys: Mapping[str, str]  # by part, those that are used

    @property
    def shapes(self) -> dict[str, Shape]:
        """Shapes of the parts."""
        return self.lora.shapes(self.keys)


@dataclass(frozen=True)
class Matched:
    """The changes a file makes to a family, and its keys that mean nothing there, sorted."""

    changes: tuple[Change, ...]
    unmatched: tuple[str, ...]


def match(lora: LoraFile, family: Family) -> Matched:
    """Find the module of every group of keys.

    Raises UnknownFamilyError where none is the family's or the shapes are another family's,
    TensorError for parts that do not go together or are missing.
    """
    known, shapes = modules_by_spelling(family), weights(family)
    changes: list[Change] = []
    unmatched = list(lora.parts.strange)
    for spelling, keys in lora.parts.modules.items():
        component, module = known.get(spelling, ("", ""))
        used = _used(keys, f"{module}.bias" in shapes.get(component, {})) if component else {}
        unmatched += [key for part, key in keys.items() if part not in used]
        if used:
            changes.append(Change(lora, component, module, kind_of(used), used))
    if not changes:
        raise _foreign(lora, family)
    wrong = [words for change in changes for words in _misfits(change, shapes[change.component])]
    if wrong:
        raise _unfit(lora, family, wrong)
    return Matched(tuple(changes), tuple(sorted(unmatched)))


def _used(keys: Mapping[str, str], has_bias: bool) -> dict[str, str]:
    """The parts that make a change together."""
    kind = kind_of(keys)
    parts = {*kind.marks, *kind.others, "alpha", *LENGTHS} if kind else set[str]()
    return {
        part: key for part, key in keys.items() if part in parts or (has_bias and part in BIASES)
    }


def _misfits(change: Change, weights: Mapping[str, Shape]) -> Iterator[str]:
    """What is wrong with the parts of a change, each a few words."""
    shapes, name = change.shapes, f"{change.component}/{change.module}"
    bias = weights.get(f"{change.module}.bias")
    for part in BIASES:
        if part in shapes and shapes[part] != bias:
            yield f"{change.keys[part]} is {list(shapes[part])}, {name}.bias {list(bias or ())}"
    if change.kind is None:
        return
    weight = weights[f"{change.module}.weight"]
    stored = ", ".join(
        f"{change.keys[part]} {list(shape)}" for part, shape in shapes.items() if shape
    )
    try:
        delta = change.kind.shape(shapes, weight)
        if math.prod(shapes.get("alpha", ())) != 1:
            raise MisfitError("alpha is one number")
        for part in LENGTHS:
            if part in shapes:
                lengths_axis(part, shapes[part], weight)
    except MisfitError as error:
        yield f"{stored} do not go together for {name}.weight {list(weight)} ({error})"
        return
    if not fits(delta, weight):
        yield f"{stored} give {list(delta)}, {name}.weight is {list(weight)}"


def _foreign(lora: LoraFile, family: Family) -> UnknownFamilyError:
    made_for = origin(lora)
    modules = ", ".join(list(lora.parts.modules)[:_SHOWN])
    return UnknownFamilyError(
        f"No key of {lora.path} belongs to a module of {family.name}.",
        note=(f"It seems made for {made_for}. " if made_for else "") + f"It changes {modules}, …",
        hint=f"Use a LoRA made for {family.kind.upper()} models.",
    )


def _unfit(lora: LoraFile, family: Family, wrong: list[str]) -> TensorError | UnknownFamilyError:
    made_for = origin(lora)
    other = made_for not in ("", {"sdxl": "SDXL", "sd15": "Stable Diffusion 1.x"}[family.kind])
    rest = len(wrong) - _SHOWN
    shown = "; ".join(wrong[:_SHOWN]) + (f"; and {rest} more" if rest > 0 else "")
    kind = UnknownFamilyError if other else TensorError
    return kind(
        f"{lora.path} has {counted(len(wrong), 'change')} unfit for {family.name}.",
        note=(f"It seems made for {made_for}. " if made_for else "") + f"{shown}.",
        hint=f"Use a LoRA made for {family.kind.upper()} models."
        if other
        else "Download it again; if it is whole, it was made for a model of another size.",
    )
