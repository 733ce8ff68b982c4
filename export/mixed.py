"""The mixed form of a VAE: convolutions and attention in float16, everything between in float32.

The stock SDXL VAE holds values beyond float16's 65,504 between its layers, and turns black where
they are stored in it (huggingface/diffusers, `force_upcast`). Here what flows between layers, the
norms' statistics among it, is float32, and the heavy operations alone are float16. A
convolution's input is divided by 32 before it is rounded, and its output multiplied again in
float32, so that values up to two million pass; powers of two change no bit of a normal number.
That keeps float16's eleven bits, where bfloat16, the other way out, has eight.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from sakuga.export.bind import weights_of

_SHRINK = 32.0
_ATTENTION = {"MatMul", "Softmax"}


def mixed(model: onnx.ModelProto) -> onnx.ModelProto:
    """The float32 graph of a VAE in its mixed form; the model given is changed and returned."""
    rewriter = _Mixer(model)
    for node in model.graph.node:
        rewriter.take(node)
    del model.graph.node[:]
    model.graph.node.extend(rewriter.nodes)
    model.graph.initializer.extend(
        numpy_helper.from_array(values, name) for name, values in _CONSTANTS.items()
    )
    return model


_DOWN, _UP, _AXES = "mixed:down", "mixed:up", "mixed:axes"
_CONSTANTS: dict[str, NDArray[Any]] = {
    _DOWN: np.array(1 / _SHRINK, np.float32),
    _UP: np.array(_SHRINK, np.float32),
    _AXES: np.array([1, 2], np.int64),
}


@dataclass
class _Mixer:
    model: onnx.ModelProto
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    halves: dict[str, str] = field(default_factory=dict)  # float16 twins of float32 values
    shares: set[str] = field(default_factory=set)  # what softmax gives, in float16
    weights: dict[str, TensorProto] = field(init=False)

    def __post_init__(self) -> None:
        self.weights = {tensor.name: tensor for tensor in weights_of(self.model)}

    def take(self, node: onnx.NodeProto) -> None:
        """Pass on a node, or what stands for it."""
        if node.op_type == "Conv" or (node.op_type == "MatMul" and node.input[1] in self.weights):
            self._weighted(node)
        elif node.op_type in _ATTENTION:
            self._attention(node)
        else:
            self.nodes.append(node)

    def _weighted(self, node: onnx.NodeProto) -> None:
        """Shrink, round, compute, widen, grow, add the bias."""
        x, weight, *bias = node.input
        out = node.output[0]
        self.weights[weight].data_type = TensorProto.FLOAT16
        small, half, product, wide = (f"{out}:{part}" for part in ("small", "in", "out", "wide"))
        grown = f"{out}:grown" if bias else out
        self._add("Mul", [x, _DOWN], small)
        self._cast(small, half, TensorProto.FLOAT16)
        computing = helper.make_node(node.op_type, [half, weight], [product], name=node.name)
        computing.attribute.extend(node.attribute)
        self.nodes.append(computing)
        self._cast(product, wide, TensorProto.FLOAT)
        self._add("Mul", [wide, _UP], grown)
        if bias:
            self._add("Unsqueeze", [bias[0], _AXES], f"{out}:bias")
            self._add("Add", [grown, f"{out}:bias"], out)

    def _attention(self, node: onnx.NodeProto) -> None:
        """Scores, softmax and mixture stay in float16 from one to the next."""
        for index, name in enumerate(node.input):
            node.input[index] = self._half(name)
        out = node.output[0]
        node.output[0] = self.halves[out] = f"{out}:float16"
        self.nodes.append(node)
        if node.op_type == "Softmax":
            self.shares.add(node.output[0])
        elif node.input[0] in self.shares:
            self._cast(node.output[0], out, TensorProto.FLOAT)

    def _half(self, name: str) -> str:
        if name not in self.halves:
            self.halves[name] = f"{name}:float16"
            self._cast(name, self.halves[name], TensorProto.FLOAT16)
        return self.halves[name]

    def _cast(self, name: str, output: str, to: int) -> None:
        self.nodes.append(helper.make_node("Cast", [name], [output], to=to))

    def _add(self, op: str, inputs: list[str], output: str) -> None:
        self.nodes.append(helper.make_node(op, inputs, [output]))
