"""Upscalers of spandrel's own classes, with seeded weights that make pictures of pictures.

A fresh network gives a flat grey, in which no error would show. So its last layer is scaled until
what it makes of a picture is spread over all levels.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hand_made_upscalers import ANY_SIDE, Pixels, scene

from sakuga.engine.refine.upscaler import padded
from sakuga.engine.upscaler_folder import SideRule
from sakuga.export.upscaler.library import spandrel_library
from sakuga.export.upscaler.verify import computed
from sakuga.kernels.tiles import Values

Module = torch.nn.Module


def dat(**parameters: Any) -> Module:  # noqa: ANN401
    """DAT, by default a small one; `DAT_X2` is what DAT_x2.pth holds."""
    small = {"embed_dim": 32, "split_size": [4, 8], "depth": [3], "num_heads": [2]}
    return _seeded("DAT", small | {"expansion_factor": 2.0, "upscale": 2} | parameters)


def rrdb(**parameters: Any) -> Module:  # noqa: ANN401
    """Real-ESRGAN's RRDBNet; `in_nc` 12 with `shuffle_factor` 2 is the form of its x2 networks."""
    return _seeded("ESRGAN", {"num_filters": 16, "num_blocks": 2, "scale": 4} | parameters)


def compact(**parameters: Any) -> Module:  # noqa: ANN401
    """SRVGGNetCompact; its own defaults are those of realesr-animevideov3."""
    return _seeded("Compact", {"num_feat": 16, "num_conv": 3, "upscale": 2} | parameters)


DAT_X2: dict[str, Any] = {
    "embed_dim": 180, "split_size": [8, 32], "depth": [6] * 6, "num_heads": [6] * 6,
    "expansion_factor": 4.0, "upscale": 2,
}  # fmt: skip


def save(module: Module, path: Path, wrapper: str | None = "params") -> Path:
    """As training tools save a network."""
    state = module.state_dict()
    torch.save(state if wrapper is None else {wrapper: state}, path)
    return path


def enlarged(module: Module, pixels: Pixels, sides: SideRule = ANY_SIDE) -> Pixels:
    """What torch makes of a whole picture, uint8 [h, w, 3], at once."""
    values = enlarged_values(module, pixels, sides)
    return np.rint(values.clip(0, 1) * 255).astype(np.uint8)


def enlarged_values(module: Module, pixels: Pixels, sides: SideRule = ANY_SIDE) -> Values:
    """The same in floats that are not cut off, with what `sides` adds to the picture."""
    found = computed(module, as_input(pixels, sides))
    return np.ascontiguousarray(found[0].transpose(1, 2, 0))


def as_input(pixels: Pixels, sides: SideRule) -> Values:
    """The picture as its networks take it, float32 [1, 3, h, w] in [0, 1]."""
    return padded((pixels.astype(np.float32) / np.float32(255)).transpose(2, 0, 1), sides)[None]


def _seeded(architecture: str, parameters: dict[str, Any]) -> Module:
    registry = spandrel_library().MAIN_REGISTRY
    package: Any = __import__(
        type(registry[architecture].architecture).__module__, fromlist=[architecture]
    )
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's functions that DAT uses
        module: Module = getattr(package, architecture)(**parameters).eval()
    _spread(module)
    return module


def _spread(module: Module) -> None:
    """Set the last convolution's gain, then its offset, by what a picture becomes."""
    last = [each for each in module.modules() if isinstance(each, torch.nn.Conv2d)][-1]
    assert last.bias is not None
    picture = scene(24, 32)
    with torch.no_grad():
        gain = 0.2 / float(enlarged_values(module, picture).std())
        last.weight *= gain
        last.bias *= gain
        last.bias += 0.5 - float(enlarged_values(module, picture).mean())
