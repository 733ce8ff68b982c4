"""Finding one's way in an ONNX graph, and clearing up after a change of it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import onnx


class Values:
    """Who makes the values of a graph, and who reads them, as it is now."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.tensors = {tensor.name: tensor for tensor in graph.initializer}
        self._makers: dict[str, onnx.NodeProto] = {
            name: node for node in graph.node for name in node.output
        }
        self._readers = defaultdict[str, list[onnx.NodeProto]](list)
        for node in graph.node:
            for name in node.input:
                self._readers[name].append(node)

    def maker(self, name: str, op_type: str) -> onnx.NodeProto:
        """The node that makes a value, which is known to be of this type."""
        node = self._makers[name]
        assert node.op_type == op_type, (name, node.op_type, op_type)
        return node

    def reader(self, node: onnx.NodeProto, op_type: str) -> onnx.NodeProto:
        """The only node that reads what a node makes, which is known to be of this type."""
        (reader,) = self._readers[node.output[0]]
        assert reader.op_type == op_type, (reader.name, reader.op_type, op_type)
        return reader


def replace_nodes(graph: onnx.GraphProto, made: Mapping[str, Iterable[onnx.NodeProto]]) -> None:
    """Put other nodes where each of these values is made, and forget what nothing reads then."""
    nodes = [each for node in graph.node for each in made.get(node.output[0], [node])]
    del graph.node[:]
    graph.node.extend(nodes)
    drop_unused(graph)


def drop_unused(graph: onnx.GraphProto) -> None:
    """Forget nodes and tensors nothing reads."""
    kept, needed = list[onnx.NodeProto](), {value.name for value in graph.output}
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    tensors = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(tensors)
