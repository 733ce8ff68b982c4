"""16-bit graphs: well typed, near float32, and float32 where it matters."""

from typing import Any, Literal

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.bundle import Bundle
from sakuga.export.bind import weights_of
from sakuga.export.graph_files import read_graph
from sakuga.export.precision import ELEMENT_TYPES, in_precision
from sakuga.profiles.families import SDXL_TINY, TRACED, Family
from sakuga.profiles.networks import Network, networks

Array = NDArray[Any]
Narrow = Literal["float16", "bfloat16"]

FLOAT16_MAX = 65_504
SHIPPED = [
    pytest.param(family, network, id=f"{family.name}-{network.name}")
    for family in TRACED.values()
    for network in networks(family).values()
]


def element_types(model: onnx.ModelProto) -> dict[str, int]:
    graph = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True).graph
    values = [*graph.value_info, *graph.input, *graph.output]
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    return types | {tensor.name: tensor.data_type for tensor in graph.initializer}


def relative_error(found: Array, expected: Array) -> float:
    wide = found.astype(np.float32)
    return float(np.abs(wide - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
@pytest.mark.parametrize("family, network", SHIPPED)
def test_graphs_are_well_typed(family: Family, network: Network, precision: Narrow) -> None:
    model = in_precision(read_graph(family.name, network.name), network, precision)
    types = element_types(model)  # raises where a type does not fit its operator
    names = {"int64": TensorProto.INT64, "float32": TensorProto.FLOAT}
    for tensor in (*network.inputs, *network.outputs):
        assert types[tensor.name] == names.get(tensor.dtype, ELEMENT_TYPES[precision])
    assert {weight.data_type for weight in weights_of(model)} == {ELEMENT_TYPES[precision]}


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
@pytest.mark.parametrize("family, network", SHIPPED)
def test_everything_behind_a_weight_computes_in_16_bits(
    family: Family, network: Network, precision: Narrow
) -> None:
    model = in_precision(read_graph(family.name, network.name), network, precision)
    types = element_types(model)
    heavy = [n for n in model.graph.node if n.op_type in ("Conv", "Gemm", "MatMul", "Softmax")]
    assert heavy
    for node in heavy:
        assert {types[name] for name in node.input} == {ELEMENT_TYPES[precision]}


@pytest.mark.parametrize("family, network", SHIPPED)
def test_constants_stay_finite_in_float16(family: Family, network: Network) -> None:
    before = _inline_floats(read_graph(family.name, network.name))
    after = _inline_floats(in_precision(read_graph(family.name, network.name), network, "float16"))
    assert {name.removesuffix(":float16") for name in after} == before.keys()
    for name, values in after.items():
        expected = before[name.removesuffix(":float16")]
        assert np.array_equal(np.isfinite(values), np.isfinite(expected))
        assert np.array_equal(values == 0, expected == 0)


def _inline_floats(model: onnx.ModelProto) -> dict[str, Array]:
    arrays = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        if tensor.data_location != TensorProto.EXTERNAL
    }
    return {name: array for name, array in arrays.items() if array.dtype.kind == "f"}


def test_float32_is_left_as_it_is() -> None:
    network = networks(SDXL_TINY)["unet"]
    assert in_precision(read_graph("sdxl-tiny", "unet"), network, "float32") == read_graph(
        "sdxl-tiny", "unet"
    )


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
@pytest.mark.parametrize("family", TRACED.values(), ids=TRACED.keys())
def test_sinusoids_are_made_in_float32(family: Family, precision: Narrow) -> None:
    model = in_precision(read_graph(family.name, "unet"), networks(family)["unet"], precision)
    types, makers = element_types(model), {o: n for n in model.graph.node for o in n.output}
    waves = [node for node in model.graph.node if node.op_type in ("Sin", "Cos")]
    assert len(waves) == (4 if family.kind == "sdxl" else 2)
    waiting = [name for node in waves for name in node.input]
    seen = set[str]()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        if types[name] == TensorProto.INT64:
            continue
        assert types[name] == TensorProto.FLOAT, name
        waiting += [] if name not in makers else list(makers[name].input)
    assert "timestep" in seen
    assert ("time_ids" in seen) == (family.kind == "sdxl")


@pytest.fixture(scope="module")
def unet_inputs() -> dict[str, Array]:
    generator = np.random.default_rng(0)
    unet, pooled = SDXL_TINY.unet, SDXL_TINY.pooled
    assert pooled is not None
    return {
        "sample": generator.standard_normal((1, 4, 16, 20), np.float32),
        "timestep": np.array([991.3], np.float32),
        "encoder_hidden_states": generator.standard_normal((1, 77, unet.context), np.float32),
        "text_embeds": generator.standard_normal((1, pooled), np.float32),
        "time_ids": np.array([[2049, 2047, 0, 0, 128, 160]], np.float32),
    }


def in_half(inputs: dict[str, Array]) -> dict[str, Array]:
    halves = ("sample", "encoder_hidden_states")
    return inputs | {name: inputs[name].astype(np.float16) for name in halves}


@pytest.mark.parametrize(
    "name, near",
    [
        ("timestep", np.array([991.5], np.float32)),
        ("time_ids", np.array([[2048, 2047, 0, 0, 128, 160]], np.float32)),
    ],
)
def test_the_float16_unet_tells_apart_what_float16_cannot(
    sdxl_fp16_bundle: Bundle, unet_inputs: dict[str, Array], name: str, near: Array
) -> None:
    assert np.array_equal(unet_inputs[name].astype(np.float16), near.astype(np.float16))
    session = OnnxSession(sdxl_fp16_bundle.graph("unet"), threads=1)
    inputs = in_half(unet_inputs)
    found = session.run(inputs)["noise_pred"]
    assert np.array_equal(found, session.run(inputs)["noise_pred"])
    assert not np.array_equal(found, session.run(inputs | {name: near})["noise_pred"])


def test_the_float16_unet_is_near_float32(
    sdxl_bundle: Bundle, sdxl_fp16_bundle: Bundle, unet_inputs: dict[str, Array]
) -> None:
    wide = OnnxSession(sdxl_bundle.graph("unet"), threads=1).run(unet_inputs)["noise_pred"]
    session = OnnxSession(sdxl_fp16_bundle.graph("unet"), threads=1)
    found = session.run(in_half(unet_inputs))["noise_pred"]
    assert found.dtype == np.float16
    assert 0 < relative_error(found, wide) <= 1e-2


@pytest.mark.parametrize("encoder", ["text_encoder", "text_encoder_2"])
def test_float16_text_encoders_are_near_float32(
    sdxl_bundle: Bundle, sdxl_fp16_bundle: Bundle, encoder: str
) -> None:
    config = next(c for c in SDXL_TINY.text_encoders if c.name == encoder)
    generator = np.random.default_rng(1)
    inputs = {
        "inputs_embeds": generator.standard_normal((2, 77, config.hidden), np.float32),
        "end_index": np.array([5, 76]),
        "clip_skip": np.array([2]),
    }
    wide = OnnxSession(sdxl_bundle.graph(encoder), threads=1).run(inputs)
    narrow = OnnxSession(sdxl_fp16_bundle.graph(encoder), threads=1).run(inputs)
    for name, expected in wide.items():
        assert narrow[name].dtype == np.float32
        assert 0 < relative_error(narrow[name], expected) <= 1e-2


def test_bfloat16_resizes_in_float32() -> None:
    network = networks(SDXL_TINY)["vae_decoder"]
    model = in_precision(read_graph("sdxl-tiny", "vae_decoder"), network, "bfloat16")
    types = element_types(model)
    resizes = [node for node in model.graph.node if node.op_type == "Resize"]
    assert resizes and {types[node.input[0]] for node in resizes} == {TensorProto.FLOAT}
