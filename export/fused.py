"""Attention as one operator, in graphs for ONNX Runtime alone.

Written out, attention holds the weights of all pairs of places at once: 1.3 GB for the two rows of
an SDXL picture of 1024x1024, and another 1 GB in its VAE. `MultiHeadAttention` of the domain
`com.microsoft` makes them block by block (Dao et al. 2022, arXiv:2205.14135), and needs neither
transposes nor copies of its inputs.
"""

import onnx
from onnx import helper, numpy_helper

from sakuga.export.graph_nodes import Values, drop_unused

_DOMAIN = "com.microsoft"


def fused(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with that operator; the model given is changed and returned.

    A text encoder's attention, which has a mask and 77 places, stays as it is.
    """
    graph, values = model.graph, Values(model.graph)
    made = {
        node.output[0]: node
        for softmax in graph.node
        if softmax.op_type == "Softmax" and values.kind(softmax.input[0]) != "Add"
        for node in [_attention(softmax, values)]
    }
    if made:
        nodes = [made.get(node.output[0], node) for node in graph.node]
        del graph.node[:]
        graph.node.extend(nodes)
        drop_unused(graph)
        model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
    return model


def _attention(softmax: onnx.NodeProto, values: Values) -> onnx.NodeProto:
    """softmax(scale · q · kᵀ) · v of every head, from matrices [rows, places, heads · features]."""
    scores = values.maker(softmax.input[0], "MatMul")
    scaled = values.maker(scores.input[0], "Mul")
    mixed = values.reader(softmax, "MatMul")
    query, key, value = (
        values.maker(values.maker(name, "Transpose").input[0], "Reshape")
        for name in (scaled.input[0], scores.input[1], mixed.input[1])
    )
    out = values.reader(values.reader(mixed, "Transpose"), "Reshape")
    shape = values.maker(query.input[1], "Constant").attribute[0].t
    *_, heads, _ = numpy_helper.to_array(shape).tolist()
    return helper.make_node(
        "MultiHeadAttention",
        [query.input[0], key.input[0], value.input[0]],
        out.output,
        out.name,
        domain=_DOMAIN,
        num_heads=heads,
        scale=float(numpy_helper.to_array(values.tensors[scaled.input[1]])),
    )
