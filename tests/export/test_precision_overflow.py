"""The VAE in 16 bits, honest about overflow.

ONNX Runtime computes float16 in float32 on a CPU and has no bfloat16 there, which hides what 16
bits do. `emulated` shows it: the rewritten graph in float32, where every value that has a 16-bit
type is rounded to that type as it is made.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from sakuga.export.bind import weights_of
from sakuga.export.checkpoint.layouts import open_checkpoint
from sakuga.export.graph_files import read_graph
from sakuga.export.precision import ELEMENT_TYPES, NUMPY_TYPES, in_precision
from sakuga.export.weight_forms import TRANSPOSED
from sakuga.profiles.families import SDXL_TINY
from sakuga.profiles.networks import networks

Array = NDArray[Any]
Narrow = Literal["float16", "bfloat16"]

FLOAT16_MAX = 65_504


def element_types(model: onnx.ModelProto) -> dict[str, int]:
    graph = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True).graph
    values = [*graph.value_info, *graph.input, *graph.output]
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    return types | {tensor.name: tensor.data_type for tensor in graph.initializer}


def relative_error(found: Array, expected: Array) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


# How much the first layers of a decoder are scaled up: activations of a sane network, and some
# beyond what float16 holds. The norms behind them bring the picture back to its usual range.
SANE, LOUD = 1.0, 1000.0


@pytest.fixture(scope="module")
def decoder_weights(sdxl_file: Path) -> dict[str, Array]:
    with open_checkpoint(sdxl_file) as checkpoint:
        vae = checkpoint.components["vae"]
        return {name: vae.read(name) for name in vae.names()}


def loud(weights: dict[str, Array], gain: float) -> dict[str, Array]:
    names = [weight.name for weight in weights_of(read_graph("sdxl-tiny", "vae_decoder"))]
    values = {}
    for name in names:
        first = name.startswith(("post_quant_conv", "decoder.conv_in"))
        array = weights[name.removesuffix(TRANSPOSED)] * np.float32(gain if first else 1)
        assert np.abs(array).max() < FLOAT16_MAX  # the weights themselves fit
        values[name] = array.T if name.endswith(TRANSPOSED) else array
    return values


def emulated(precision: Narrow, weights: dict[str, Array]) -> onnx.ModelProto:
    """The decoder's 16-bit graph, each 16-bit value rounded and then kept in float32."""
    network = networks(SDXL_TINY)["vae_decoder"]
    model = in_precision(read_graph("sdxl-tiny", "vae_decoder"), network, precision)
    types, narrow = element_types(model), ELEMENT_TYPES[precision]
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        nodes.append(node)
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.i == narrow:
                attribute.i = TensorProto.FLOAT
        for index, name in enumerate(node.output):
            if types[name] == narrow:
                node.output[index] = f"{name}!"
                nodes.append(helper.make_node("Cast", [f"{name}!"], [f"{name}!!"], to=narrow))
                nodes.append(helper.make_node("Cast", [f"{name}!!"], [name], to=TensorProto.FLOAT))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    for tensor in model.graph.initializer:
        if tensor.data_type == narrow:
            empty = tensor.data_location == TensorProto.EXTERNAL
            values = weights[tensor.name] if empty else numpy_helper.to_array(tensor)
            rounded = values.astype(NUMPY_TYPES[precision]).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(rounded, tensor.name))
    return model


def decoded(model: onnx.ModelProto) -> Array:
    options = ort.SessionOptions()
    # Full optimisation would drop the casts there and back again.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    latent = np.random.default_rng(2).standard_normal((1, 4, 16, 20), np.float32)
    (image,) = session.run(["image"], {"latent": latent})
    assert isinstance(image, np.ndarray)
    return image


def in_float32(weights: dict[str, Array]) -> onnx.ModelProto:
    model = read_graph("sdxl-tiny", "vae_decoder")
    for tensor in weights_of(model):
        tensor.CopyFrom(
            numpy_helper.from_array(np.ascontiguousarray(weights[tensor.name]), tensor.name)
        )
    return model


def loudest(model: onnx.ModelProto) -> float:
    """The largest magnitude any node of a float32 graph gives."""
    types = element_types(model)
    peaks = []
    for node in list(model.graph.node):
        name = node.output[0]
        if types[name] == TensorProto.FLOAT and node.op_type not in ("Shape", "Constant"):
            peaks.append(f"{name}!peak")
            model.graph.node.append(helper.make_node("Abs", [name], [f"{name}!abs"]))
            model.graph.node.append(
                helper.make_node("ReduceMax", [f"{name}!abs"], [peaks[-1]], keepdims=0)
            )
    model.graph.node.append(helper.make_node("Max", peaks, ["image!loudest"]))
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("image", TensorProto.FLOAT, []))
    for node in model.graph.node:
        for index, name in enumerate(node.output):
            node.output[index] = {"image": "image!", "image!loudest": "image"}.get(name, name)
        for index, name in enumerate(node.input):
            node.input[index] = "image!" if name == "image" else name
    return float(decoded(model))


@pytest.mark.parametrize("precision, bar", [("float16", 1e-2), ("bfloat16", 1e-1)])
def test_a_sane_decoder_is_near_float32_in_16_bits(
    decoder_weights: dict[str, Array], precision: Narrow, bar: float
) -> None:
    weights = loud(decoder_weights, SANE)
    assert loudest(in_float32(weights)) < FLOAT16_MAX / 100
    expected = decoded(in_float32(weights))
    assert 1e-4 < relative_error(decoded(emulated(precision, weights)), expected) <= bar


def test_a_loud_decoder_overflows_float16_and_not_bfloat16(
    decoder_weights: dict[str, Array],
) -> None:
    weights = loud(decoder_weights, LOUD)
    assert loudest(in_float32(weights)) > FLOAT16_MAX
    expected = decoded(in_float32(weights))
    assert np.isfinite(expected).all()
    assert not np.isfinite(decoded(emulated("float16", weights))).all()
    assert relative_error(decoded(emulated("bfloat16", weights)), expected) <= 1e-1
