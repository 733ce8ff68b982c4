"""The trained networks as one checkpoint in float16, in the layout web interfaces use."""

from pathlib import Path
from typing import Any

import numpy as np

from sakuga.engine.errors import TensorError
from sakuga.export.checkpoint.sources import Array, Shape
from sakuga.export.checkpoint.writer import write_checkpoint
from sakuga.export.demo import DEMO_METADATA
from sakuga.export.demo.training.text import TextEncoders
from sakuga.profiles.families import SDXL_DEMO
from sakuga.profiles.weights import weights


def pack(vae: Any, encoders: TextEncoders, unet: Any, out: Path) -> None:  # noqa: ANN401
    """Write `out`; the modules' parameters are those of `profiles.weights`, none more or less.

    Raises TensorError for weights that are not finite.
    """
    tensors = {**encoders.weights(), "unet": unet.state_dict(), "vae": vae.state_dict()}
    for component, shapes in weights(SDXL_DEMO).items():
        assert set(shapes) == set(tensors[component]), component

    def values(component: str, name: str, shape: Shape) -> Array:
        array = tensors[component][name].float().cpu().numpy()
        assert array.shape == shape, (component, name)
        if not np.isfinite(array).all():
            raise TensorError(
                f"The training has run away: {component}/{name} holds NaN or infinity.",
                hint="Give another --out and another --seed.",
            )
        found: Array = array
        return found

    write_checkpoint(SDXL_DEMO, "single", "fp16", values, DEMO_METADATA, out)
