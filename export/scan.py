"""Will what is stored in float16 fit? The largest magnitude of every such value, measured.

A processor's ONNX Runtime computes float16 graphs in float32 and so hides what overflows on a
GPU; the magnitudes it sees on the way are the true ones. They depend on the weights, so every
build measures its own, at the smallest square size, on two rows: pure noise and nearly none.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.errors import BuildError
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

    @property
    def headroom(self) -> float:
        """How many times larger float16's largest number is."""
        return math.inf if self.largest == 0 else FLOAT16_MAX / self.largest


def scan(graph: Path, inputs: Inputs) -> Scan:
    """Run a bound graph and measure what it stores in float16; the file is left as it is."""
    model = onnx.load(graph, load_external_data=False)
    names = _stored_in_float16(model)
    if not names:
        return Scan(0, 0.0, "")
    _add_peaks(model, names)
    watched = graph.with_name(_SCANNED)  # beside it, for the weights
    try:
        watched.write_bytes(model.SerializeToString())
        session = OnnxSession(watched)
        peaks = session.run(session.in_types(inputs))[_PEAKS]
    finally:
        watched.unlink(missing_ok=True)
    sizes = [math.inf if math.isnan(peak) else float(peak) for peak in peaks]
    largest = max(sizes)
    return Scan(len(names), largest, names[sizes.index(largest)])


def check_scan(network: str, found: Scan) -> None:
    """Raise BuildError where a value does not fit float16."""
    if found.largest > FLOAT16_MAX:
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


def _add_peaks(model: onnx.ModelProto, names: list[str]) -> None:
    """One more output, float32 [values]: the largest magnitude of each."""
    graph, peaks = model.graph, []
    for index, name in enumerate(names):
        wide, size, peak = (f"scan:{index}:{step}" for step in ("wide", "abs", "max"))
        graph.node.append(helper.make_node("Cast", [name], [wide], to=TensorProto.FLOAT))
        graph.node.append(helper.make_node("Abs", [wide], [size]))
        graph.node.append(helper.make_node("ReduceMax", [size], [f"{peak}:0"], keepdims=0))
        graph.node.append(helper.make_node("Reshape", [f"{peak}:0", "scan:one"], [peak]))
        peaks.append(peak)
    graph.initializer.append(helper.make_tensor("scan:one", TensorProto.INT64, [1], [1]))
    graph.node.append(helper.make_node("Concat", peaks, [_PEAKS], axis=0))
    graph.output.append(helper.make_tensor_value_info(_PEAKS, TensorProto.FLOAT, [len(names)]))
