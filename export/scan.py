"""Will what is stored in float16 fit? The largest magnitude of every such value, measured.

The bound graph is widened to float32, where nothing overflows, and run: the values a GPU would
store in float16 are then seen as they want to be. They depend on the weights, so every build
measures its own, on two rows: pure noise and nearly none. Weights are widened one by one right
before they are used, so the largest UNet needs little more memory than its file.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.errors import BuildError, BundleDamagedError, RenderError
from sakuga.export.bind import weights_of
from sakuga.export.samples import Inputs

FLOAT16_MAX = 65_504.0

# Operations whose output may be larger than their inputs; the others pass magnitudes on.
_GROW = {"Add", "Cast", "Conv", "Div", "Gemm", "InstanceNormalization", "LayerNormalization",
         "MatMul", "Mul", "Sub"}  # fmt: skip
_PEAKS = "scan:peaks"
_SCANNED = "scanned.onnx"


@dataclass(frozen=True)
class Scan:
    """The largest magnitude stored in float16, where, and of how many values."""

    values: int
    largest: float
    at: str


def scan(graph: Path, inputs: Inputs) -> Scan:
    """Run a bound graph and measure what it stores in float16; the file is left as it is.

    NaN or infinity in an output counts as infinitely large. Raises BuildError where the graph
    cannot be run.
    """
    model = onnx.load(graph, load_external_data=False)
    names = _stored_in_float16(model)
    if not names:
        return Scan(0, 0.0, "")
    _widen(model)
    _add_peaks(model, names)
    watched = graph.with_name(_SCANNED)  # beside it, for the weights
    try:
        watched.write_bytes(model.SerializeToString())
        session = OnnxSession(watched, optimization="none")
        outputs = session.run(session.in_types(inputs))
    except (RenderError, BundleDamagedError) as error:
        raise BuildError(
            f"The network {graph.parent.name} cannot be tried out before its plan is built.",
            note=error.note,
            hint="If memory ran out, close other programs. --precision fp32 needs no trial.",
        ) from error
    finally:
        watched.unlink(missing_ok=True)
    peaks = outputs.pop(_PEAKS)
    for name, values in outputs.items():  # a NaN may hide from a maximum, and not from the end
        if not np.isfinite(values).all():
            return Scan(len(names), math.inf, name)
    largest = int(peaks.argmax())
    return Scan(len(names), float(peaks[largest]), names[largest])


def check_scan(network: str, found: Scan) -> None:
    """Raise BuildError where a value does not fit float16."""
    if not found.largest <= FLOAT16_MAX:
        raise BuildError(
            f"The network {network} overflows float16 with this checkpoint.",
            note=f"{found.at} reaches {found.largest:.4g}; float16 holds {FLOAT16_MAX:,.0f}.",
            hint="Build with --precision fp32.",
        )


def _stored_in_float16(model: onnx.ModelProto) -> list[str]:
    inferred = onnx.shape_inference.infer_shapes(model).graph
    halves = {
        value.name
        for value in (*inferred.value_info, *inferred.output)
        if value.type.tensor_type.elem_type == TensorProto.FLOAT16
    }
    # Scores behind a causal mask hold minus infinity on purpose; before it they are measured.
    masked = {node.input[0] for node in model.graph.node if node.op_type == "Softmax"}
    return [
        name
        for node in model.graph.node
        if node.op_type in _GROW
        for name in node.output
        if name in halves and not (node.op_type == "Add" and name in masked)
    ]


def _widen(model: onnx.ModelProto) -> None:
    """float16 to float32 everywhere but in the weights, which are cast where they are used."""
    graph = model.graph
    for value in (*graph.input, *graph.output):
        kind = value.type.tensor_type
        if kind.elem_type == TensorProto.FLOAT16:
            kind.elem_type = TensorProto.FLOAT
    del graph.value_info[:]
    weights = {t.name for t in weights_of(model) if t.data_type == TensorProto.FLOAT16}
    for tensor in graph.initializer:
        if tensor.data_location != TensorProto.EXTERNAL:
            _widen_constant(tensor)
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        nodes += _cast_weights(node, weights)
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.i == TensorProto.FLOAT16:
                attribute.i = TensorProto.FLOAT
            _widen_constant(attribute.t)
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _widen_constant(tensor: TensorProto) -> None:
    if tensor.data_type == TensorProto.FLOAT16:
        array = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def _cast_weights(node: onnx.NodeProto, weights: set[str]) -> list[onnx.NodeProto]:
    """Casts of the weights a node reads, each its own; the node reads those from then on."""
    casts = []
    for index, name in enumerate(node.input):
        if name in weights:
            node.input[index] = f"{name}:for:{node.output[0]}"
            casts.append(
                helper.make_node("Cast", [name], [node.input[index]], to=TensorProto.FLOAT)
            )
    return casts


def _add_peaks(model: onnx.ModelProto, names: list[str]) -> None:
    """One more output, float32 [values]: the largest magnitude of each.

    Each is taken right behind the value it belongs to, so that no value has to wait for it.
    """
    graph, wanted, peaks, nodes = model.graph, set(names), [], []
    for node in graph.node:
        nodes.append(node)
        for name in wanted.intersection(node.output):
            size, peak, one = (f"scan:{name}:{step}" for step in ("abs", "max", "1"))
            nodes += [
                helper.make_node("Abs", [name], [size]),
                helper.make_node("ReduceMax", [size], [peak], keepdims=0),
                helper.make_node("Reshape", [peak, "scan:one"], [one]),
            ]
            peaks.append(one)
    nodes.append(helper.make_node("Concat", peaks, [_PEAKS], axis=0))
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.append(helper.make_tensor("scan:one", TensorProto.INT64, [1], [1]))
    graph.output.append(helper.make_tensor_value_info(_PEAKS, TensorProto.FLOAT, [len(names)]))
