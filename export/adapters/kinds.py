"""The kinds of change a LoRA file can hold, and the formula of each: ΔW from its parts.

All take float32 parts by name (`parts.py`) and give ΔW at weight 1, of as many elements and rows as
W. Formulas: Hu et al. 2021 (arXiv:2106.09685) for LoRA; Yeh et al. 2023 (arXiv:2309.14859) for
LoCon, LoHa and LoKr; Liu et al. 2022 (arXiv:2205.05638) for IA3; Chavan et al. 2023
(arXiv:2306.07967) for GLoRA; OFT is in `rotate.py`; the parts' layouts are LyCORIS's.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from sakuga.export.adapters.factor import Arrays, Factor, MisfitError, Shapes
from sakuga.export.adapters.rotate import rotated_shape, rotation_delta
from sakuga.export.checkpoint.sources import Array, Shape

_LORA = Factor("", "up", "down", "mid")
_HADA = tuple(Factor("", f"w{n}_a", f"w{n}_b", f"t{n}", up_turned=True) for n in (1, 2))
_KRON = tuple(
    Factor(f"kron_w{n}", f"kron_w{n}_a", f"kron_w{n}_b", f"kron_t{n}", up_turned=True)
    for n in (1, 2)
)


@dataclass(frozen=True)
class Kind:
    """One kind of change.

    `shape(shapes, weight)`: shape of ΔW for a weight of that shape, MisfitError where the parts do
    not go together. `rank`: None where the kind has none. `delta(arrays, weight)`: ΔW without the
    scale alpha / rank.
    """

    name: str
    marks: frozenset[str]  # a module with one of these parts is of this kind
    others: frozenset[str]  # what else it reads, beside alpha
    shape: Callable[[Shapes, Shape], Shape]
    rank: Callable[[Shapes], int | None]
    delta: Callable[[Arrays, Array], Array]


def _lora_shape(shapes: Shapes, weight: Shape) -> Shape:
    return _LORA.shape(shapes)


def _lora(arrays: Arrays, weight: Array) -> Array:
    return _LORA.value(arrays)


def _loha_shape(shapes: Shapes, weight: Shape) -> Shape:
    first, second = (factor.shape(shapes) for factor in _HADA)
    if first != second:
        raise MisfitError(f"{list(first)} times {list(second)}")
    return first


def _loha(arrays: Arrays, weight: Array) -> Array:
    first, second = (factor.value(arrays) for factor in _HADA)
    return first * second


def _lokr_shape(shapes: Shapes, weight: Shape) -> Shape:
    first, second = (factor.shape(shapes) for factor in _KRON)
    if len(first) != 2 or len(second) < 2:
        raise MisfitError(f"{list(first)} ⊗ {list(second)}")
    return (first[0] * second[0], first[1] * second[1], *second[2:])


def _lokr_rank(shapes: Shapes) -> int | None:
    first, second = (factor.rank(shapes) for factor in _KRON)
    return first if second is None else second


def _lokr(arrays: Arrays, weight: Array) -> Array:
    first, second = (factor.value(arrays) for factor in _KRON)
    return np.kron(first.reshape(first.shape + (1,) * (second.ndim - 2)), second)


def _glora_order(a1: Shape, weight: Shape) -> tuple[str, str, str, str]:
    """W a1 a2 + b1 b2; the first releases stored every pair the other way round."""
    return ("a1", "a2", "b1", "b2") if a1[0] == weight[1] else ("a2", "a1", "b2", "b1")


def _glora_shape(shapes: Shapes, weight: Shape) -> Shape:
    lacking = sorted({"a1", "a2", "b1", "b2"} - shapes.keys())
    if lacking:
        raise MisfitError(f"{', '.join(lacking)} missing")
    if len(weight) < 2 or len(shapes["a1"]) < 2:
        raise MisfitError("not of matrices")
    left, right, up, down = _glora_order(shapes["a1"], weight)
    through = Factor("", left, right, "").shape(shapes)
    if (*through[:2], math.prod(through)) != (weight[1], weight[1], weight[1] ** 2):
        raise MisfitError(f"W {list(weight)} @ {list(through)}")
    return Factor("", up, down, "").shape(shapes)


def _glora_rank(shapes: Shapes) -> int | None:
    return min(shapes["a1"][:2])


def _glora(arrays: Arrays, weight: Array) -> Array:
    left, right, up, down = _glora_order(arrays["a1"].shape, weight.shape)
    through = Factor("", left, right, "").value(arrays).reshape(weight.shape[1], -1)
    changed: Array = np.einsum("oi...,ij->oj...", weight, through, optimize=True)
    return changed + Factor("", up, down, "").value(arrays).reshape(weight.shape)


def _full_shape(shapes: Shapes, weight: Shape) -> Shape:
    return shapes["diff"]


def _full(arrays: Arrays, weight: Array) -> Array:
    return arrays["diff"]


def _set_shape(shapes: Shapes, weight: Shape) -> Shape:
    return shapes["set"]


def _set(arrays: Arrays, weight: Array) -> Array:
    """The weight becomes the value, at weight 1; ComfyUI sets it at every weight."""
    return arrays["set"].reshape(weight.shape) - weight


def _ia3_shape(shapes: Shapes, weight: Shape) -> Shape:
    """As many factors as rows or columns; which of the two, `on_input` tells."""
    if not {"factor", "on_input"} <= shapes.keys() or math.prod(shapes["on_input"]) != 1:
        raise MisfitError("a factor and on_input make IA3")
    count = math.prod(shapes["factor"])
    if count not in weight[:2]:
        raise MisfitError(f"{count} factors for {list(weight)}")
    return weight


def _ia3(arrays: Arrays, weight: Array) -> Array:
    axis = 1 if arrays["on_input"].reshape(-1)[0] else 0
    factors = arrays["factor"].reshape(-1)
    if len(factors) != weight.shape[axis]:
        raise MisfitError(f"{len(factors)} factors on axis {axis} of {list(weight.shape)}")
    shape = [1] * weight.ndim
    shape[axis] = -1
    return weight * factors.reshape(shape)


def _no_rank(shapes: Shapes) -> int | None:
    return None


def _marks(names: str) -> frozenset[str]:
    return frozenset(names.split())


KINDS = (
    Kind("LoRA", _marks("up down"), _marks("mid"), _lora_shape, _LORA.rank, _lora),
    Kind(
        "LoHa",
        _marks("w1_a w1_b w2_a w2_b"),
        _marks("t1 t2"),
        _loha_shape,
        _HADA[0].rank,
        _loha,
    ),
    Kind(
        "LoKr",
        _marks("kron_w1 kron_w1_a kron_w1_b kron_w2 kron_w2_a kron_w2_b"),
        _marks("kron_t1 kron_t2"),
        _lokr_shape,
        _lokr_rank,
        _lokr,
    ),
    Kind("GLoRA", _marks("a1 a2 b1 b2"), _marks(""), _glora_shape, _glora_rank, _glora),
    Kind("full difference", _marks("diff"), _marks(""), _full_shape, _no_rank, _full),
    Kind("set value", _marks("set"), _marks(""), _set_shape, _no_rank, _set),
    Kind("OFT", _marks("oft_blocks"), _marks("rescale"), rotated_shape, _no_rank, rotation_delta),
    Kind("IA3", _marks("on_input"), _marks("factor"), _ia3_shape, _no_rank, _ia3),
)


def kind_of(parts: Iterable[str]) -> Kind | None:
    """The kind of change a module's parts make to its weight, None where they make none."""
    found = set(parts)
    return next((kind for kind in KINDS if kind.marks & found), None)


def fits(delta: Shape, weight: Shape) -> bool:
    """Whether ΔW can be laid out as W: as many rows, as many elements."""
    return delta[:1] == weight[:1] and math.prod(delta) == math.prod(weight)
