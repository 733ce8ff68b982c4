"""The trained detector as an ONNX file with the outputs and properties of a YOLOv8 export."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from sakuga.export.demo.training.face_data import SIDE, STRIDES
from sakuga.export.demo.training.face_network import Convolution, FaceNetwork, places

_OPSET, _IR = 17, 8
PROPERTIES = {
    "description": "Faces as the painter of Sakuga's demo model draws them",
    "author": "Sakuga",
    "license": "Apache-2.0",
    "task": "detect",
    "stride": str(max(STRIDES)),
    "batch": "1",
    "imgsz": f"[{SIDE}, {SIDE}]",
    "names": "{0: 'face'}",
}
# From distances to the left, above, right and below to middle and sides.
_SIDES = np.array([[-0.5, 0, 0.5, 0], [0, -0.5, 0, 0.5], [1, 0, 1, 0], [0, 1, 0, 1]], np.float32)


class GraphOperations:
    """The network as nodes of a graph; values are their names."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401
        """Adds a node; the name of what it gives."""
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def constant(self, values: NDArray[Any]) -> str:
        """Adds an array; its name."""
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def convolution(self, layer: Convolution, values: str) -> str:
        """The normalisation goes into the convolution's weights (Jacob et al. 2018)."""
        norm = layer.norm
        assert norm.running_var is not None and norm.running_mean is not None
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        weight = layer.conv.weight * scale[:, None, None, None]
        out = self._conv(layer.conv, weight, norm.bias - norm.running_mean * scale, values)
        return self.node("Mul", out, self.node("Sigmoid", out))

    def prediction(self, layer: nn.Conv2d, values: str) -> str:
        """[1, 5, h·w]."""
        assert layer.bias is not None
        out = self._conv(layer, layer.weight, layer.bias, values)
        return self.node("Reshape", out, self.constant(np.array([1, 5, -1], np.int64)))

    def add(self, one: str, other: str) -> str:
        """Their sum."""
        return self.node("Add", one, other)

    def doubled(self, values: str) -> str:
        """Twice the height and width, each value four times."""
        scales = self.constant(np.array([1, 1, 2, 2], np.float32))
        return self.node(
            "Resize", values, "", scales, mode="nearest", nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        )  # fmt: skip

    def _conv(self, layer: nn.Conv2d, weight: torch.Tensor, bias: torch.Tensor, values: str) -> str:
        arrays = (each.detach().cpu().float().numpy() for each in (weight, bias))
        named = [self.constant(array) for array in arrays]
        return self.node(
            "Conv", values, *named, strides=list(layer.stride), group=layer.groups,
            pads=[int(side) for side in layer.padding] * 2,
        )  # fmt: skip


def write_detector(network: FaceNetwork, out: Path) -> None:
    """Write the network: `images` [1, 3, 256, 256] to `output0` [1, 5, 1344]."""
    make = GraphOperations()
    raw = make.node("Concat", *network.levels(make, "images"), axis=2)
    four = make.constant(np.array([4, 1], np.int64))
    distances, logits = f"{raw}_distances", f"{raw}_logits"
    make.nodes.append(helper.make_node("Split", [raw, four], [distances, logits], axis=1))
    middles, strides = places()
    offsets = np.pad(middles.T, ((0, 2), (0, 0)))[None]
    away = make.node("Mul", make.node("Softplus", distances), make.constant(strides))
    boxes = make.node("MatMul", make.constant(_SIDES), away)
    boxes = make.node("Add", boxes, make.constant(offsets))
    last = helper.make_node("Concat", [boxes, make.node("Sigmoid", logits)], ["output0"], axis=1)
    graph = helper.make_graph(
        [*make.nodes, last],
        "faces",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 5, len(middles)])],
        make.weights,
    )
    opset = helper.make_opsetid("", _OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=_IR, producer_name="sakuga")
    helper.set_model_props(model, PROPERTIES)
    onnx.checker.check_model(model, full_check=True)
    out.write_bytes(model.SerializeToString())
