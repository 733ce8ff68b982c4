"""A UNet's attention as one operator, in graphs for ONNX Runtime alone.

Written out, attention holds the weights of all pairs of places at once: 1.3 GB for the two rows of
an SDXL picture of 1024x1024. `MultiHeadAttention` of the domain `com.microsoft` makes them block by
block (Dao et al. 2022, arXiv:2205.14135), and needs no transposed copies of its inputs. (With a
VAE's one attention made so, processes grew larger: ONNX Runtime's arena grows in other steps.)
"""

import onnx
from onnx import helper, numpy_helper

from sakuga.export.graph_nodes import Values, replace_nodes

_DOMAIN = "com.microsoft"
_HEADS_FIRST, _KEYS_LAST = [0, 2, 1, 3], [0, 2, 3, 1]


def fused(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph of a UNet with that operator; the model given is changed and returned."""
    values = Values(model.graph)
    attentions = [
        _attention(node, values) for node in model.graph.node if node.op_type == "Softmax"
    ]
    replace_nodes(model.graph, {node.output[0]: [node] for node in attentions})
    model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
    return model


def _attention(softmax: onnx.NodeProto, values: Values) -> onnx.NodeProto:
    """softmax(scale · q · kᵀ) · v of every head, from matrices [rows, places, heads · features]."""
    scores = values.maker(softmax.input[0], "MatMul")
    scaled = values.maker(scores.input[0], "Mul")
    mixed = values.reader(softmax, "MatMul")
    joined = values.reader(mixed, "Transpose")
    turned = [
        values.maker(name, "Transpose")
        for name in (scaled.input[0], scores.input[1], mixed.input[1])
    ]
    turns = [list(node.attribute[0].ints) for node in (*turned, joined)]
    assert turns == [_HEADS_FIRST, _KEYS_LAST, _HEADS_FIRST, _HEADS_FIRST], (softmax.name, turns)
    split = [values.maker(node.input[0], "Reshape") for node in turned]
    shape = values.maker(split[0].input[1], "Constant").attribute[0].t
    *_, heads, _ = numpy_helper.to_array(shape).tolist()
    out = values.reader(joined, "Reshape")
    return helper.make_node(
        "MultiHeadAttention",
        [node.input[0] for node in split],
        out.output,
        out.name,
        domain=_DOMAIN,
        num_heads=heads,
        scale=float(numpy_helper.to_array(values.tensors[scaled.input[1]])),
    )
