"""From a raw torch export to the graph that ships: small, free of weights, lean at run time.

For maintainers; needs the `verify` extra (onnxscript, onnx-ir). Torch writes shape arithmetic for
every reshape and a transpose before every linear layer; a runtime pays for the first at every
step and a CPU runtime for the second at every start.
"""

from collections.abc import Mapping

import numpy as np
import onnx
import onnx_ir as ir
import onnx_ir.passes.common as passes
from onnxscript import optimizer

from sakuga.export.weight_forms import TRANSPOSED
from sakuga.profiles.networks import Network


def simplified(model: ir.Model, network: Network) -> onnx.ModelProto:
    """The model cleaned, its weights turned into initializers without data."""
    borders = {tensor.name for tensor in network.inputs}
    strip_metadata(model)
    weights_to_inputs(model.graph)
    optimizer.optimize_ir(model)
    lean_reshapes(model.graph)
    transposed_weights(model.graph, borders)
    for tidy in (passes.CommonSubexpressionEliminationPass(), passes.RemoveUnusedNodesPass()):
        tidy(model)
    strip_metadata(model)
    drop_unused_weights(model.graph, borders)
    proto = weights_to_initializers(ir.to_proto(model), borders)
    name_axes(proto.graph, network)
    usual_gelus(proto.graph)
    return proto


def strip_metadata(model: ir.Model) -> None:
    """Remove stack traces and comments, which are nine tenths of a raw export."""
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    for value in model.graph.inputs:
        value.metadata_props.clear()
    for node in model.graph:
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()


def weights_to_inputs(graph: ir.Graph) -> None:
    """Make every parameter a graph input, so that constant folding leaves it alone."""
    for name in list(graph.initializers):
        value = graph.initializers.pop(name)
        value.const_value = None
        value.name = name.removeprefix("unet.")
        graph.inputs.append(value)


def lean_reshapes(graph: ir.Graph) -> None:
    """Give a Reshape a constant shape wherever 0 (keep) and one -1 (the rest) can say it.

    Compares the symbolic shapes torch proved, so it holds for every size.
    """
    for node in graph:
        if node.op_type != "Reshape":
            continue
        before, after = node.inputs[0], node.outputs[0]
        if before is None or before.shape is None or after.shape is None:
            continue
        constant = _reshape_constant(tuple(before.shape), tuple(after.shape))
        if constant is None:
            continue
        shape = ir.node(
            "Constant", [], attributes={"value": ir.tensor(constant, dtype=ir.DataType.INT64)}
        )
        graph.insert_before(node, shape)
        node.replace_input_with(1, shape.outputs[0])
        node.attributes.pop("allowzero", None)


def _reshape_constant(before: tuple[object, ...], after: tuple[object, ...]) -> list[int] | None:
    constant: list[int] = []
    for axis, dim in enumerate(after):
        if isinstance(dim, int):
            constant.append(dim)
        elif axis < len(before) and str(before[axis]) == str(dim) != "None":
            constant.append(0)
        elif -1 in constant:
            return None
        else:
            constant.append(-1)
    return constant


def transposed_weights(graph: ir.Graph, borders: set[str]) -> None:
    """Replace `Transpose(weight)` by a weight that the binder writes transposed."""
    weights = {value for value in graph.inputs if value.name not in borders}
    made: dict[str, ir.Value] = {}
    for node in list(graph):
        if node.op_type != "Transpose" or node.inputs[0] not in weights:
            continue
        weight = node.inputs[0]
        assert weight.name is not None and weight.shape is not None
        if list(node.attributes["perm"].as_ints()) != [1, 0]:
            continue
        if weight.name not in made:
            rows, columns = weight.shape
            made[weight.name] = ir.Value(
                name=weight.name + TRANSPOSED,
                shape=ir.Shape([columns, rows]),
                type=ir.TensorType(ir.DataType.FLOAT),
            )
            graph.inputs.append(made[weight.name])
        ir.convenience.replace_all_uses_with(node.outputs[0], made[weight.name])
        graph.remove(node, safe=True)


def drop_unused_weights(graph: ir.Graph, borders: set[str]) -> None:
    """Forget parameters nothing reads, such as one whose transposed form took its place."""
    for value in list(graph.inputs):
        if value.name not in borders and not value.uses():
            graph.inputs.remove(value)


def weights_to_initializers(proto: onnx.ModelProto, borders: set[str]) -> onnx.ModelProto:
    """Turn the weights back into initializers that name their data and do not hold it."""
    graph = proto.graph
    weights = [value for value in graph.input if value.name not in borders]
    for value in weights:
        graph.input.remove(value)
        tensor = graph.initializer.add()
        tensor.name = value.name
        tensor.data_type = value.type.tensor_type.elem_type
        tensor.dims.extend(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="weights")
    del graph.value_info[:]
    for index, node in enumerate(graph.node):
        node.name = f"n{index}"
    proto.producer_name, proto.producer_version = "sakuga", ""
    return proto


def usual_gelus(graph: onnx.GraphProto) -> None:
    """Have every GELU halve its input, not what that is multiplied with: (x / 2) · (1 + erf(…)).

    To halve is exact, so the values are the same; but ONNX Runtime knows a GELU by this order, or
    by one whose product overflows float16, and runs five nodes as one.
    """
    made = {output: node for node in graph.node for output in node.output}
    halves = {
        each.name
        for each in graph.initializer
        if not each.dims and each.raw_data == np.float32(0.5).tobytes()
    }
    for node in (each for each in graph.node if each.op_type == "Mul"):
        for name, other in (node.input, node.input[::-1]):
            factor = made.get(name)
            if factor is not None and (erf := _halved_erf(factor, made, halves)) is not None:
                (half,) = halves.intersection(factor.input)
                factor.input[:] = [other, half]
                node.input[:] = [factor.output[0], erf]
                break


def _halved_erf(
    node: onnx.NodeProto, made: Mapping[str, onnx.NodeProto], halves: set[str]
) -> str | None:
    """Of ½ · (1 + erf(…)) what is halved; None for anything else."""
    if node.op_type != "Mul" or not halves.intersection(node.input):
        return None
    for name in node.input:
        added = made.get(name)
        if added is None or added.op_type != "Add":
            continue
        if any(before in made and made[before].op_type == "Erf" for before in added.input):
            return str(name)
    return None


def name_axes(graph: onnx.GraphProto, network: Network) -> None:
    """Give the dynamic axes at the borders the names they have in `profiles.networks`."""
    dims = {tensor.name: tensor.dims for tensor in (*network.inputs, *network.outputs)}
    for value in (*graph.input, *graph.output):
        for dim, name in zip(value.type.tensor_type.shape.dim, dims[value.name], strict=True):
            if isinstance(name, str):
                dim.dim_param = name
