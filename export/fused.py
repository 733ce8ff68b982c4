"""A UNet's attention as one operator, in graphs for ONNX Runtime alone.

Written out, attention holds the weights of all pairs of places at once: 1.3 GB for the two rows of
an SDXL picture of 1024x1024. `MultiHeadAttention` of the domain `com.microsoft` makes them block by
block (Dao et al. 2022, arXiv:2205.14135), and needs no transposed copies of its inputs. (A VAE
gains nothing: its convolutions take more memory than its one attention, and the arena keeps both.)
"""

import onnx
from onnx import helper, numpy_helper

from sakuga.export.graph_nodes import Values, replace_nodes

_DOMAIN = "com.microsoft"


def fused(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph of a UNet with that operator; the model given is changed and returned."""
    values, made = Values(model.graph), dict[str, list[onnx.NodeProto]]()
    for softmax in [node for node in model.graph.node if node.op_type == "Softmax"]:
        node, info = _attention(softmax, values)
        made[info.name] = [node]
        model.graph.value_info.append(info)  # for inference, which knows no other domains
    replace_nodes(model.graph, made)
    model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
    return model


def _attention(
    softmax: onnx.NodeProto, values: Values
) -> tuple[onnx.NodeProto, onnx.ValueInfoProto]:
    """softmax(scale · q · kᵀ) · v of every head, from matrices [rows, places, heads · features];
    and what shape it has."""
    scores = values.maker(softmax.input[0], "MatMul")
    scaled = values.maker(scores.input[0], "Mul")
    mixed = values.reader(softmax, "MatMul")
    query, key, value = (
        values.maker(values.maker(name, "Transpose").input[0], "Reshape")
        for name in (scaled.input[0], scores.input[1], mixed.input[1])
    )
    out = values.reader(values.reader(mixed, "Transpose"), "Reshape")
    shape = values.maker(query.input[1], "Constant").attribute[0].t
    *_, heads, features = numpy_helper.to_array(shape).tolist()
    scale = values.tensors[scaled.input[1]]
    node = helper.make_node(
        "MultiHeadAttention",
        [query.input[0], key.input[0], value.input[0]],
        out.output,
        out.name,
        domain=_DOMAIN,
        num_heads=heads,
        scale=float(numpy_helper.to_array(scale)),
    )
    whole = ("rows", None, heads * features)
    return node, helper.make_tensor_value_info(out.output[0], scale.data_type, whole)
