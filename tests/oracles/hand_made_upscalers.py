"""Small upscalers whose graphs are written by hand: they run on ONNX Runtime as built ones do."""

import hashlib
import math
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from sakuga.engine.manifest import MANIFEST, FileEntry
from sakuga.engine.refine.upscaler import Enlarging
from sakuga.engine.upscaler_folder import (
    SideRule,
    UpscalerFolder,
    UpscalerManifest,
    open_upscaler,
)

SHA256 = "0123456789abcdef" * 4  # of the file it says it was built from
ANY_SIDE = SideRule(1, 1, False)
Pixels = NDArray[np.uint8]
Nodes = list[onnx.NodeProto]
Constants = dict[str, NDArray[np.generic]]


def sharpener(scale: int) -> tuple[Nodes, Constants]:
    """A convolution over 5 x 5 points that makes scale² of each, near the point's own level."""
    generator = np.random.default_rng(7)
    kernel = 0.02 * generator.standard_normal((3 * scale * scale, 3, 5, 5))
    for channel in range(3):
        kernel[channel * scale * scale : (channel + 1) * scale * scale, channel, 2, 2] += 0.9
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["many"], pads=[2, 2, 2, 2]),
        helper.make_node("DepthToSpace", ["many"], ["upscaled"], blocksize=scale, mode="CRD"),
    ]
    return nodes, {"kernel": kernel.astype(np.float32)}


def repeater(scale: int, block: int) -> tuple[Nodes, Constants]:
    """Each point `scale` times in both directions; takes multiples of `block` alone."""
    nodes = [
        helper.make_node("SpaceToDepth", ["image"], ["deep"], blocksize=block),
        helper.make_node("DepthToSpace", ["deep"], ["flat"], blocksize=block),
        helper.make_node(
            "Resize", ["flat", "", "scales"], ["upscaled"], mode="nearest",
            coordinate_transformation_mode="asymmetric", nearest_mode="floor",
        ),
    ]  # fmt: skip
    return nodes, {"scales": np.array([1, 1, scale, scale], np.float32)}


def graph_bytes(nodes: Nodes, constants: Constants) -> bytes:
    def border(name: str) -> onnx.ValueInfoProto:
        shape = [1, 3, f"{name}_height", f"{name}_width"]
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        nodes, "upscaler", [border("image")], [border("upscaled")],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return model.SerializeToString()


def hand_made(
    folder: Path,
    parts: tuple[Nodes, Constants],
    scale: int = 2,
    sides: SideRule = ANY_SIDE,
    tile: int = 192,
    overlap: int = 8,
) -> UpscalerFolder:
    """An upscaler's folder with this network, named as the folder is, opened."""
    file, data = "onnx/upscaler/model.onnx", graph_bytes(*parts)
    (folder / file).parent.mkdir(parents=True)
    (folder / file).write_bytes(data)
    manifest = UpscalerManifest(
        "sakuga-upscaler-1", folder.stem, "by hand", scale, f"{folder.stem}.pth", SHA256,
        sides, None, tile, overlap, "unknown", {}, {"float32": file}, {"float32": 0.0}, None,
        {file: FileEntry(len(data), hashlib.sha256(data).hexdigest())},
    )  # fmt: skip
    (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    return open_upscaler(folder)


def whole(steps: Enlarging) -> Pixels:
    """The picture at the end, without a pause."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: Pixels = end.value
            return made


def scene(height: int, width: int) -> Pixels:
    """A picture with soft light, edges and grain, uint8 [height, width, 3]."""
    rows, columns = np.mgrid[:height, :width]
    light = 90 + 60 * np.sin(rows / 17)[..., None] * np.cos(columns[..., None] / (9, 13, 21))
    light[height // 3 : height // 2, width // 3 : 2 * width // 3] += 70
    light += np.random.default_rng(3).normal(0, 6, light.shape)
    return np.clip(light, 0, 255).astype(np.uint8)


def psnr(got: Pixels, wanted: Pixels) -> float:
    """Peak signal to noise of two pictures, dB; infinite where they are the same."""
    mean = float(np.mean((got.astype(np.float64) - wanted) ** 2))
    return 10 * math.log10(255**2 / mean) if mean else math.inf
