"""Convolutions behind a doubling, folded into it: 16 products for four places instead of 36.

A picture whose sides are doubled by repeating each place holds every value four times, and a
convolution of 3x3 behind it sees but two by two different ones. Which of its taps fall on the same
value depends on whether a place's row and column are even or odd; so four convolutions of 2x2,
whose taps are sums of those, make a quarter of the places each, which are put between each other.
Only the last bits differ, because taps are added before they are multiplied. (For transposed
convolutions the same is known as sub-pixel convolution: Shi et al. 2016, arXiv:1609.05158.)
"""

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import helper, numpy_helper

from sakuga.export.graph_nodes import Values, replace_nodes
from sakuga.export.weight_forms import CORNERS
from sakuga.profiles.networks import Network

# Quarters are [rows, channels, height, width]. With one more axis of length 1, joining on it puts
# columns between each other, and joining those on axis 3 rows; then both belong to their sides.
_LAST, _JOINED = "folded:last", "folded:joined"
_CONSTANTS = {_LAST: [4], _JOINED: [0, 0, -1, 0]}
_USUAL = {"pads": [1, 1, 1, 1], "strides": [1, 1], "dilations": [1, 1], "kernel_shape": [3, 3]}


def folded(model: onnx.ModelProto, network: Network) -> onnx.ModelProto:
    """The graph with such convolutions; the model given is changed and returned.

    A UNet whose levels need not be doubles of each other, because of the sizes it is for, stays as
    it is.
    """
    graph, values = model.graph, Values(model.graph)
    doublings = [node for node in graph.node if node.op_type == "Resize"]
    if not all(_doubles(node, values, network, len(doublings)) for node in doublings):
        return model
    convs = [(values.reader(node, "Conv"), node.input[0]) for node in doublings]
    weights = {conv.input[1] for conv, _ in convs}
    tensors = [each for tensor in graph.initializer for each in _parts(tensor, weights)]
    constants = [
        numpy_helper.from_array(np.array(numbers, np.int64), name)
        for name, numbers in _CONSTANTS.items()
    ]
    del graph.initializer[:]
    graph.initializer.extend([*tensors, *constants])
    replace_nodes(graph, {conv.output[0]: list(_quarters(conv, small)) for conv, small in convs})
    return model


def _doubles(node: onnx.NodeProto, values: Values, network: Network, levels: int) -> bool:
    """Whether it doubles both sides: by its scales, or as all sizes of the network have it."""
    how = {each.name: each.s for each in node.attribute}
    assert how["mode"] == b"nearest" and how["nearest_mode"] == b"floor", node.name
    assert how["coordinate_transformation_mode"] == b"asymmetric", node.name
    if scales := node.input[2]:
        return bool((numpy_helper.to_array(values.tensors[scales]) == [1, 1, 2, 2]).all())
    sides = (network.axis("latent_height"), network.axis("latent_width"))
    return all(side.step % 2**levels == 0 for side in sides)


def _quarters(conv: onnx.NodeProto, small: str) -> Iterator[onnx.NodeProto]:
    """Four convolutions of what was doubled, and their places put between each other."""
    given = {each.name: list(each.ints) for each in conv.attribute if each.name in _USUAL}
    groups = [each.i for each in conv.attribute if each.name == "group"]
    assert given.items() <= _USUAL.items() and given["pads"], (conv.name, given)
    assert groups in ([], [1]), (conv.name, groups)
    _, weight, bias = conv.input
    (out,) = conv.output
    for ending, (row, column) in CORNERS.items():
        part = out + ending
        # An even row reaches one up, an odd one one down.
        pads = [1 - row, 1 - column, row, column]
        yield helper.make_node(
            "Conv", [small, weight + ending, bias], [part], kernel_shape=[2, 2], pads=pads
        )
        yield helper.make_node("Unsqueeze", [part, _LAST], [f"{part}:apart"])
    parts = [f"{out}{ending}:apart" for ending in CORNERS]
    for row in (0, 1):
        yield helper.make_node("Concat", parts[2 * row : 2 * row + 2], [f"{out}:row{row}"], axis=4)
    yield helper.make_node("Concat", [f"{out}:row0", f"{out}:row1"], [f"{out}:rows"], axis=3)
    yield helper.make_node("Reshape", [f"{out}:rows", _JOINED], [out])


def _parts(tensor: onnx.TensorProto, weights: set[str]) -> Iterator[onnx.TensorProto]:
    """The four weights in the place of one that is folded, any other as it is."""
    if tensor.name not in weights:
        yield tensor
        return
    for ending in CORNERS:
        part = onnx.TensorProto()
        part.CopyFrom(tensor)
        part.name += ending
        part.dims[2:] = [2, 2]
        yield part
