"""The graph of an upscaler against its network, at sizes that it was not traced at."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from sakuga.engine.backend.base import Array
from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.errors import BuildError
from sakuga.engine.refine.upscaler import padded
from sakuga.engine.upscaler_folder import UpscalerPrecision
from sakuga.export.relative_error import relative_error
from sakuga.export.upscaler.network import UpscalerNetwork

# Odd sides, and sides that windows of up to 32 divide.
_SIZES = ((37, 53), (64, 32))
# Rounding to float16 through the 23 blocks of Real-ESRGAN gives up to 1e-2.
_BARS: Mapping[UpscalerPrecision, float] = {"float32": 1e-4, "float16": 0.05}


def verified(network: UpscalerNetwork, graph: Path, precision: UpscalerPrecision) -> float:
    """The largest relative error of the graph on ONNX Runtime. Raises BuildError above the bar."""
    session = OnnxSession(graph)
    error = 0.0
    for height, width in _SIZES:
        image = padded(_picture(height, width), network.sides)[None]
        wanted = computed(network.module, image)
        (got,) = session.run({"image": image}).values()
        assert got.shape == wanted.shape, (got.shape, wanted.shape)
        error = max(error, relative_error(got, wanted))
    if not error <= _BARS[precision]:
        raise BuildError(
            f"The graph of this {network.architecture} is not what its network computes.",
            note=f"Its relative error in {precision} is {error:.1e}, the bar is "
            f"{_BARS[precision]:g}.",
            hint="Report this with the name of the upscaler.",
        )
    return error


def computed(module: torch.nn.Module, image: Array) -> Array:
    """What torch makes of an image, float32 [1, 3, h, w].

    Denormal numbers count as zero: DAT's masks give many, and processors are slow with them.
    """
    torch.set_flush_denormal(True)
    try:
        with torch.no_grad():
            found: Array = module(torch.from_numpy(image)).numpy()
    finally:
        torch.set_flush_denormal(False)
    return found


def _picture(height: int, width: int) -> Array:
    """Light that rises to the lower right, with grain: float32 [3, h, w] in [0, 1]."""
    grain = np.random.default_rng(0).random((3, height, width))
    light = np.linspace(0, 1, height)[:, None] + np.linspace(0, 1, width)
    return (0.35 * light + 0.3 * grain).astype(np.float32)
