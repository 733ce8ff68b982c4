"""The weights of an upscaler's file: safetensors, or a pickle of torch read without running it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.errors import CheckpointError, FileFormatError, UnknownFamilyError
from sakuga.engine.text.torch_file import Limits, TorchFile, read_torch
from sakuga.engine.text.torch_values import PickleError, Tensor
from sakuga.export.checkpoint.foreign import what_it_is
from sakuga.export.checkpoint.safetensors_file import SafetensorsFile

Weights = Mapping[str, NDArray[Any]]

PICKLES = (".pth", ".pt", ".ckpt", ".bin")
_MOST_BYTES = 1 << 30  # HAT-L, the largest people use, has 165 MB
_LIMITS = Limits(steps=1_000_000, numbers=1 << 28)  # DAT x2 takes some 30,000 steps
# Under which names training tools keep the network in their files, the averaged one first.
_WRAPPERS = ("params_ema", "params-ema", "params", "model_state_dict", "state_dict", "model", "net")


def read_weights(path: Path) -> Weights:
    """Every tensor of the network in a file, by name; bfloat16 comes as float32.

    Raises CheckpointError where it cannot be read, FileFormatError for a format that is neither, a
    pickle that asks for more than tensors, and numbers that are none; UnknownFamilyError for a
    file too large for an upscaler.
    """
    if path.suffix.lower() == ".safetensors":
        weights = _safetensors(path)
    elif path.suffix.lower() in PICKLES:
        weights = _pickled(path)
    else:
        raise FileFormatError(
            f"{path} is no file of weights.",
            note=f"Upscalers come as .safetensors or {', '.join(PICKLES)}.",
            hint="Give one of those.",
        )
    _check_finite(path, weights)
    return weights


def _safetensors(path: Path) -> Weights:
    with SafetensorsFile(path) as file:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            what = what_it_is(file.tensors.keys())
            raise UnknownFamilyError(
                f"{path} is {what or 'too large'}, no upscaler.",
                note=f"It has {size / 1e9:.1f} GB; the largest upscalers have less than 1 GB.",
                hint="Checkpoints are for `sakuga build`.",
            )
        return {name: file.read(name) for name in file.tensors}


def _pickled(path: Path) -> Weights:
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise PickleError(f"it has {size:,} bytes, more than any upscaler")
        file = read_torch(path.read_bytes(), _LIMITS)
        tensors = _tensors(file)
        # Views may show one number often; those of a network are as many as its file has.
        if sum(_bytes(tensor) for tensor in tensors.values()) > size:
            raise PickleError("its tensors have more numbers than the file")
        return {name: file.values(tensor) for name, tensor in tensors.items()}
    except PickleError as error:
        raise FileFormatError(
            f"{path} cannot be read: {error}.",
            note="A pickle is a program; Sakuga reads the tensors of those that torch writes, and "
            "runs nothing.",
            hint="Download the file again, or use a .safetensors file of the same upscaler.",
        ) from error
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read: {error.strerror}.", hint="Check the path and its rights."
        ) from error


def _tensors(file: TorchFile) -> dict[str, Tensor]:
    value = file.value
    for wrapper in _WRAPPERS:
        if isinstance(value, dict) and isinstance(value.get(wrapper), dict):
            value = value[wrapper]
            break
    named = value.items() if isinstance(value, dict) else ()
    found = {str(name): each for name, each in named if isinstance(each, Tensor)}
    if not found:
        raise PickleError("it holds no tensors")
    return found


def _bytes(tensor: Tensor) -> int:
    count = 1
    for side in tensor.shape:
        count *= side
    return count * tensor.storage.kind.item_bytes


def _check_finite(path: Path, weights: Weights) -> None:
    for name, values in weights.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise FileFormatError(
                f"{path} holds NaN or infinity, for instance in {name}.",
                note="No picture comes of such a network.",
                hint="Download it again.",
            )
