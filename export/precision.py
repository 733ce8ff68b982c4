"""Precision is in the graph: the float32 graph of a network rewritten to compute in 16 bits.

A strongly typed runtime computes in the types the graph names. Three rules decide them:

* values made of float32 inputs alone, before any weight touches them, stay float32: timesteps,
  time ids and their sinusoids, where float16 would round 991.3 to 991.5;
* everything behind a weight has the 16-bit type, weights included;
* an output declared float32 is cast back at the border.

float16 holds 65,504 at most; bfloat16 holds whatever float32 holds, with 8 bits of precision. A
VAE has a third form, `mixed.py`.
"""

from dataclasses import dataclass, field
from typing import Literal

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sakuga.export.graph_nodes import drop_unused
from sakuga.export.mixed import mixed
from sakuga.profiles.networks import Network

Precision = Literal["float32", "float16", "bfloat16", "mixed"]

ELEMENT_TYPES: dict[str, int] = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "bfloat16": TensorProto.BFLOAT16,
}
NUMPY_TYPES: dict[str, np.dtype] = {
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
}
# The first opset whose convolutions take the type; for our operators it changes nothing else.
_OPSETS = {"bfloat16": 22, "float16": 1}
# TensorRT resizes no bfloat16; a nearest-neighbour resize in float32 is exact.
_FLOAT32_OPS = {"bfloat16": {"Resize"}, "float16": set[str]()}


def in_precision(model: onnx.ModelProto, network: Network, precision: Precision) -> onnx.ModelProto:
    """The graph computing in `precision`; the model given is changed and returned."""
    if precision == "float32":
        return model
    if precision == "mixed":
        mixed(model)
    else:
        _Rewriter(model, network, precision).rewrite()
    onnx.checker.check_model(_without_data(model))
    return model


@dataclass
class _Rewriter:
    model: onnx.ModelProto
    network: Network
    precision: Literal["float16", "bfloat16"]
    wide: set[str] = field(default_factory=set)  # float32 values that stay so
    narrow: set[str] = field(default_factory=set)  # values of the 16-bit type
    constants: dict[str, TensorProto] = field(default_factory=dict)  # float constants by name
    casts: dict[tuple[str, int], str] = field(default_factory=dict)
    nodes: list[onnx.NodeProto] = field(default_factory=list)

    def rewrite(self) -> None:
        graph = self.model.graph
        floats = self._float_values()
        self._enter(floats)
        for node in graph.node:
            self._rewrite_node(node, floats)
        self._leave()
        del graph.node[:]
        graph.node.extend(self.nodes)
        for tensor in graph.initializer:
            if tensor.name in self.narrow:
                tensor.data_type = self._type
        drop_unused(graph)
        self._declare_opset()

    @property
    def _type(self) -> int:
        return ELEMENT_TYPES[self.precision]

    def _float_values(self) -> set[str]:
        inferred = onnx.shape_inference.infer_shapes(self.model, strict_mode=True).graph
        values = [*inferred.value_info, *inferred.input, *inferred.output]
        found = {v.name for v in values if v.type.tensor_type.elem_type == TensorProto.FLOAT}
        return found | {t.name for t in inferred.initializer if t.data_type == TensorProto.FLOAT}

    def _enter(self, floats: set[str]) -> None:
        graph = self.model.graph
        kinds = {tensor.name: tensor.dtype for tensor in self.network.inputs}
        for value in graph.input:
            if kinds[value.name] == "compute":
                value.type.tensor_type.elem_type = self._type
                self.narrow.add(value.name)
            elif value.name in floats:
                self.wide.add(value.name)
        for tensor in graph.initializer:
            if tensor.name not in floats:
                continue
            if tensor.data_location == TensorProto.EXTERNAL:
                self.narrow.add(tensor.name)
            else:
                self.constants[tensor.name] = tensor

    def _rewrite_node(self, node: onnx.NodeProto, floats: set[str]) -> None:
        inputs = [name for name in node.input if name in floats]
        behind_weight = any(name in self.narrow for name in inputs)
        if not behind_weight and any(name in self.wide for name in inputs):
            self.wide.update(name for name in node.output if name in floats)
            self.nodes.append(node)
        elif inputs or any(name in floats for name in node.output):
            self._narrow_node(node, floats)
        else:
            self.nodes.append(node)

    def _narrow_node(self, node: onnx.NodeProto, floats: set[str]) -> None:
        wanted = self._type
        if node.op_type in _FLOAT32_OPS[self.precision]:
            wanted = TensorProto.FLOAT
        for index, name in enumerate(node.input):
            if name in floats:
                scales = node.op_type == "Resize" and index > 0  # ONNX has them in float32 alone
                kept = TensorProto.FLOAT if scales else wanted
                node.input[index] = self._as_type(name, kept)
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.i == TensorProto.FLOAT:
                attribute.i = self._type
            if node.op_type == "Constant" and attribute.t.data_type == TensorProto.FLOAT:
                attribute.t.CopyFrom(self._converted(attribute.t, attribute.t.name))
        self.nodes.append(node)
        for index, name in enumerate(node.output):
            if name not in floats:
                continue
            self.narrow.add(name)
            if wanted != self._type:
                node.output[index] = f"{name}:float32"
                self.nodes.append(
                    helper.make_node("Cast", [node.output[index]], [name], to=self._type)
                )

    def _as_type(self, name: str, wanted: int) -> str:
        if name in self.constants:
            return name if wanted == TensorProto.FLOAT else self._constant(name)
        have = TensorProto.FLOAT if name in self.wide else self._type
        if have == wanted:
            return name
        if (name, wanted) not in self.casts:
            cast = f"{name}:{TensorProto.DataType.Name(wanted).lower()}"
            self.nodes.append(helper.make_node("Cast", [name], [cast], to=wanted))
            self.casts[name, wanted] = cast
        return self.casts[name, wanted]

    def _constant(self, name: str) -> str:
        converted = f"{name}:{self.precision}"
        if (name, self._type) not in self.casts:
            self.model.graph.initializer.append(self._converted(self.constants[name], converted))
            self.casts[name, self._type] = converted
        return converted

    def _converted(self, tensor: TensorProto, name: str) -> TensorProto:
        array = numpy_helper.to_array(tensor).astype(NUMPY_TYPES[self.precision])
        return numpy_helper.from_array(array, name)

    def _leave(self) -> None:
        kinds = {tensor.name: tensor.dtype for tensor in self.network.outputs}
        for value in self.model.graph.output:
            if kinds[value.name] == "compute":
                value.type.tensor_type.elem_type = self._type
            elif value.name in self.narrow:
                inner = f"{value.name}:{self.precision}"
                for node in self.nodes:
                    _rename(node, value.name, inner)
                self.nodes.append(
                    helper.make_node("Cast", [inner], [value.name], to=TensorProto.FLOAT)
                )

    def _declare_opset(self) -> None:
        (opset,) = self.model.opset_import
        opset.version = max(opset.version, _OPSETS[self.precision])


def _rename(node: onnx.NodeProto, old: str, new: str) -> None:
    for names in (node.input, node.output):
        for index, name in enumerate(names):
            if name == old:
                names[index] = new


def _without_data(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose weights are inputs: the checker refuses external data that is not there yet."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    weights = [t for t in copy.graph.initializer if t.data_location == TensorProto.EXTERNAL]
    for tensor in weights:
        copy.graph.initializer.remove(tensor)
        copy.graph.input.append(
            helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
        )
    return copy
