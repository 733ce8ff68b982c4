"""What can be counted in a graph: attention in the form TensorRT fuses, and resizes."""

from dataclasses import dataclass

import onnx


@dataclass(frozen=True)
class GraphFacts:
    """`attentions`: scores go straight from one product through softmax to the next, or with a
    mask added (`masked_attentions`, as a text encoder's must be). `resizes`: upsamplers."""

    attentions: int
    masked_attentions: int
    resizes: int


def graph_facts(model: onnx.ModelProto) -> GraphFacts:
    """Count in a graph. An attention is MatMul, Softmax, MatMul, casts between them aside; its
    query is scaled before the first product, which is the form TensorRT's documentation names."""
    makers = {name: node for node in model.graph.node for name in node.output}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    plain = masked = 0
    for node in model.graph.node:
        if node.op_type != "Softmax" or not _feeds_product(node, readers):
            continue
        source = _maker(node.input[0], makers)
        if source is not None and source.op_type == "MatMul":
            plain += 1
        elif source is not None and source.op_type == "Add":
            masked += 1
    resizes = sum(node.op_type == "Resize" for node in model.graph.node)
    return GraphFacts(plain, masked, resizes)


def _maker(name: str, makers: dict[str, onnx.NodeProto]) -> onnx.NodeProto | None:
    node = makers.get(name)
    return _maker(node.input[0], makers) if node is not None and node.op_type == "Cast" else node


def _feeds_product(node: onnx.NodeProto, readers: dict[str, list[onnx.NodeProto]]) -> bool:
    following = readers.get(node.output[0], [])
    return bool(following) and all(
        reader.op_type == "MatMul" or (reader.op_type == "Cast" and _feeds_product(reader, readers))
        for reader in following
    )
