"""The network of an upscaler's file: which architecture it has, and what it takes."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sakuga.engine.errors import TensorError, UnknownFamilyError
from sakuga.engine.upscaler_folder import SideRule, UpscalerPrecision
from sakuga.export.checkpoint.foreign import what_it_is
from sakuga.export.counted import counted
from sakuga.export.upscaler.library import spandrel_library
from sakuga.export.upscaler.weights_file import Weights

_SHOWN = 3  # names of tensors a message gives
_GIVE = "Give an upscaler's file, such as DAT x2, Real-ESRGAN x4plus or realesr-animevideov3."


@dataclass(frozen=True, eq=False)
class UpscalerNetwork:
    """A network with its weights: a picture in [0, 1], float32 [1, 3, h, w], to one `scale` times
    as large. `window`: side of the windows its attention works in, None without such.
    `precisions`: those it may compute in."""

    module: torch.nn.Module
    architecture: str
    scale: int
    sides: SideRule
    window: int | None
    precisions: tuple[UpscalerPrecision, ...]


def load_network(path: Path, weights: Weights) -> UpscalerNetwork:
    """The network these weights of a file belong to.

    Raises UnknownFamilyError for what is no upscaler of colour pictures, TensorError for one whose
    tensors do not fit together.
    """
    library = spandrel_library()
    found = _descriptor(library, path, weights)
    _check_upscaler(library, path, found)
    rule = found.size_requirements
    return UpscalerNetwork(
        module=found.model.eval().requires_grad_(False),
        architecture=f"{found.architecture.name} {' '.join(found.tags)}".strip(),
        scale=found.scale,
        sides=SideRule(max(rule.minimum, 1), rule.multiple_of, rule.square),
        window=_window(found.model),
        precisions=("float32", "float16") if found.supports_half else ("float32",),
    )


def _descriptor(library: Any, path: Path, weights: Weights) -> Any:  # noqa: ANN401
    tensors = {name: torch.from_numpy(np.array(values)) for name, values in weights.items()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's functions that some architectures use
            return library.ModelLoader().load_from_state_dict(tensors)
    except library.UnsupportedModelError as error:
        what = what_it_is(weights.keys()).replace("an upscaler", "")  # none that spandrel knows
        shown = ", ".join(list(weights)[:_SHOWN])
        raise UnknownFamilyError(
            f"{path} is {what}, no upscaler." if what else f"{path} is no upscaler.",
            note=f"It has {counted(len(weights), 'tensor')}, {shown}, …: no architecture of "
            f"spandrel {library.__version__} has those.",
            hint=_GIVE,
        ) from error
    except Exception as error:  # each architecture fails in its own way
        raise TensorError(
            f"The tensors of {path} do not fit together.",
            note=" ".join(f"{type(error).__name__}: {error}".split())[:400],
            hint="Download it again; it may be cut down, or of a variant nobody described.",
        ) from error


def _check_upscaler(library: Any, path: Path, found: Any) -> None:  # noqa: ANN401
    colours = found.input_channels, found.output_channels
    if isinstance(found, library.ImageModelDescriptor):
        if found.purpose == "SR" and found.scale > 1 and colours == (3, 3):
            return
        facts = f"from {colours[0]} to {colours[1]} channels, {found.scale} times as large"
    else:
        facts = "it fills holes"
    raise UnknownFamilyError(
        f"{path} is a network of {found.architecture.name}, no upscaler of colour pictures.",
        note=f"Its purpose is {found.purpose}: {facts}.",
        hint=_GIVE,
    )


def _window(module: Any) -> int | None:  # noqa: ANN401
    """By the names architectures give it in their parameters: a side, or two."""
    parameters = getattr(module, "hyperparameters", {})
    for name in ("split_size", "window_size"):
        side = parameters.get(name)
        if isinstance(side, int):
            return side
        if isinstance(side, (list, tuple)) and side:
            return max(map(int, side))
    return None
