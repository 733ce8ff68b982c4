"""The graphs that ship: weight-free ONNX models, one per family and network, under xz.

Every weight of a shipped graph is an initializer with a name, a shape and no data; its name is
that of `profiles.weights`, with `.T` added where the graph wants the matrix transposed.
"""

import json
import lzma
from pathlib import Path

import onnx

from sakuga.profiles.families import Family

GRAPHS = Path(__file__).parent / "graphs"


def read_graph(family: str, network: str, folder: Path = GRAPHS) -> onnx.ModelProto:
    """The weight-free graph of a network in float32."""
    return onnx.load_from_string(
        lzma.decompress((folder / family / f"{network}.onnx.xz").read_bytes())
    )


def graph_of(family: Family, network: str) -> onnx.ModelProto:
    """The same for a family that may share the graphs of another: an inpainting model's UNet is
    its base's, but for what its first convolution reads."""
    model = read_graph(family.base, network)
    if network == "unet" and family.inpaints:
        (sample,) = (each for each in model.graph.input if each.name == "sample")
        sample.type.tensor_type.shape.dim[1].dim_value = family.unet.inputs
        (weight,) = (each for each in model.graph.initializer if each.name == "conv_in.weight")
        weight.dims[1] = family.unet.inputs
    return model


def write_graph(model: onnx.ModelProto, folder: Path, family: str, network: str) -> int:
    """Write a weight-free graph; returns its compressed size in bytes."""
    path = folder / family / f"{network}.onnx.xz"
    path.parent.mkdir(parents=True, exist_ok=True)
    data = lzma.compress(
        model.SerializeToString(deterministic=True), preset=9 | lzma.PRESET_EXTREME
    )
    path.write_bytes(data)
    return len(data)


def graph_versions(folder: Path = GRAPHS) -> dict[str, str]:
    """Versions of the packages the shipped graphs were traced with."""
    versions: dict[str, str] = json.loads((folder / "versions.json").read_text(encoding="utf-8"))
    return versions
