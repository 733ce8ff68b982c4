"""Small YOLO files for tests: boxes that stand in the file, outlines that follow the picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

FACE = {"names": "{0: 'face', 1: 'hand'}", "task": "detect", "imgsz": "[64, 64]", "stride": "32"}


def yolo_file(
    path: Path,
    boxes: NDArray[Any],
    sides: tuple[int | str, int | str] = (64, 64),
    properties: Mapping[str, str] = FACE,
    outlined: bool = False,
    dtype: Any = np.float32,  # noqa: ANN401
) -> Path:
    """A network that gives `boxes` as its first output, whatever it sees.

    `outlined`: with one prototype, positive where the picture is brighter than half. Sides that
    are words are open.
    """
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    pixels = helper.make_tensor_value_info("images", kind, [1, 3, *sides])
    made = numpy_helper.from_array(boxes.astype(dtype), "boxes")
    nodes = [helper.make_node("Identity", ["boxes"], ["output0"])]
    weights = [made]
    outputs = [helper.make_tensor_value_info("output0", kind, list(boxes.shape))]
    if outlined:
        weights.append(numpy_helper.from_array(np.full((1, 3, 1, 1), 1 / 3, dtype), "mean"))
        weights.append(numpy_helper.from_array(np.array(0.5, dtype), "half"))
        nodes += [
            helper.make_node("Conv", ["images", "mean"], ["grey"]),
            helper.make_node(
                "AveragePool", ["grey"], ["small"], kernel_shape=[4, 4], strides=[4, 4]
            ),
            helper.make_node("Sub", ["small", "half"], ["output1"]),
        ]
        small = [side // 4 if isinstance(side, int) else f"{side}_small" for side in sides]
        outputs.append(helper.make_tensor_value_info("output1", kind, [1, 1, *small]))
    graph = helper.make_graph(nodes, "yolo", [pixels], outputs, weights)
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    helper.set_model_props(model, dict(properties))
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def any_file(path: Path, shape: list[int], kind: int = TensorProto.FLOAT, inputs: int = 1) -> Path:
    """A network of another kind: gives its first input back."""
    given = [helper.make_tensor_value_info(f"in{at}", kind, shape) for at in range(inputs)]
    back = helper.make_tensor_value_info("out", kind, shape)
    node = helper.make_node("Identity", ["in0"], ["out"])
    graph = helper.make_graph([node], "other", given, [back])
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path
