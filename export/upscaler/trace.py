"""An upscaler's network as a graph for pictures of every size, its weights beside it."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnx_ir as ir
import onnx_ir.passes.common as passes
import torch
from onnxscript import optimizer

from sakuga.engine.errors import BuildError
from sakuga.engine.upscaler_folder import SideRule, UpscalerPrecision
from sakuga.export.checkpoint.sources import Array
from sakuga.export.precision import in_precision
from sakuga.export.simplify import (
    drop_unused_weights,
    name_axes,
    strip_metadata,
    transposed_weights,
    weights_to_initializers,
)
from sakuga.export.upscaler.network import UpscalerNetwork
from sakuga.export.upscaler.traceable import traceable
from sakuga.profiles.networks import Network, Tensor

OPSET = 18
_SIDE = 40  # about that of the sample it is traced with
_FEW = 8  # numbers of a constant that stays in the graph
_PICTURE = Network(
    "upscaler",
    (Tensor("image", "float32", (1, 3, "height", "width")),),
    (Tensor("upscaled", "float32", (1, 3, "upscaled_height", "upscaled_width")),),
    (),
)
_BORDERS = {"image"}


@dataclass(frozen=True, eq=False)
class TracedUpscaler:
    """A graph in float32 whose weights have names and no data, and their values."""

    model: onnx.ModelProto
    weights: Mapping[str, Array]

    def read(self, name: str) -> Array:
        """A weight's values."""
        return self.weights[name]

    def graph(self, precision: UpscalerPrecision) -> onnx.ModelProto:
        """The graph computing in this precision, pictures in and out in float32."""
        copy = onnx.ModelProto()
        copy.CopyFrom(self.model)
        return in_precision(copy, _PICTURE, precision)


def trace_upscaler(network: UpscalerNetwork) -> TracedUpscaler:
    """The graph of a network. Raises BuildError where torch cannot trace it for every size."""
    try:
        model = _exported(network.module, network.sides)
    except Exception as error:  # whatever an architecture does that torch cannot follow
        raise BuildError(
            f"The network {network.architecture} cannot be traced.",
            note=" ".join(f"{type(error).__name__}: {error}".split())[:400],
            hint="DAT, Real-ESRGAN and realesr-animevideov3 can.",
        ) from error
    weights = _take_weights(model.graph)
    optimizer.optimize_ir(model)
    transposed_weights(model.graph, _BORDERS)
    for tidy in (passes.CommonSubexpressionEliminationPass(), passes.RemoveUnusedNodesPass()):
        tidy(model)
    strip_metadata(model)
    drop_unused_weights(model.graph, _BORDERS)
    proto = weights_to_initializers(ir.to_proto(model), _BORDERS)
    name_axes(proto.graph, _PICTURE)
    return TracedUpscaler(proto, weights)


def _exported(module: torch.nn.Module, sides: SideRule) -> ir.Model:
    """By torch's older exporter: the newer one proves what it assumes of sides, which takes it a
    minute for six blocks of DAT, and DAT x2 has 36."""
    height = sides.fitting(_SIDE)
    sample = torch.zeros(1, 3, height, sides.fitting(height + 1))  # they differ, lest one be both
    with (
        TemporaryDirectory() as folder,
        traceable(module) as form,
        torch.no_grad(),
        _quiet(),
    ):
        file = Path(folder) / "upscaler.onnx"
        torch.onnx.export(
            form,
            (sample,),
            file,
            dynamo=False,
            opset_version=OPSET,
            do_constant_folding=False,  # weights keep their names
            input_names=["image"],
            output_names=["upscaled"],
            dynamic_axes={"image": {2: "height", 3: "width"}},
        )
        return ir.from_proto(onnx.load(file))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch's exporter has to say of itself and of packages that it would like."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def _take_weights(graph: ir.Graph) -> dict[str, Array]:
    """Make graph inputs of all weights, so that nothing is folded into them, and give their values.
    Small constants and whole numbers stay."""
    taken: dict[str, Array] = {}
    for name, value in list(graph.initializers.items()):
        assert value.const_value is not None
        values = np.asarray(value.const_value.numpy())
        if values.dtype == np.float32 and values.size > _FEW:
            taken[name] = values
            graph.initializers.pop(name)
            value.const_value = None
            graph.inputs.append(value)
    return taken
