"""The mixed form of a VAE: what computes in float16, what in float32, and how near it stays.

ONNX Runtime computes float16 in float32 on a CPU. `rounded` shows what a GPU does: the graph in
float32, where every value that has the type float16 is rounded to it as it is made.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from sakuga.engine.backend.base import Array
from sakuga.export.graph_files import read_graph
from sakuga.export.precision import Precision, in_precision
from sakuga.export.samples import Inputs, decoder_inputs, encoder_inputs
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import SDXL_TINY, TRACED, Family
from sakuga.profiles.networks import Network, networks

BoundVae = Callable[[str, Precision, float], Path]

SANE, LOUD = 1.0, 100.0  # how much a decoder's first two layers are scaled up
HALF, SINGLE = TensorProto.FLOAT16, TensorProto.FLOAT
NORMS = ("InstanceNormalization", "LayerNormalization", "GroupNormalization")
SHIPPED = [
    pytest.param(family, networks(family)[name], id=f"{family.name}-{name}")
    for family in TRACED.values()
    for name in ("vae_decoder", "vae_encoder")
]
INPUTS: dict[str, Inputs] = {
    "vae_decoder": decoder_inputs(SDXL_TINY, Size(160, 128)),
    "vae_encoder": encoder_inputs(Size(160, 128)),
}


def element_types(model: onnx.ModelProto) -> dict[str, int]:
    graph = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True).graph
    values = [*graph.value_info, *graph.input, *graph.output]
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    return types | {tensor.name: tensor.data_type for tensor in graph.initializer}


def mixed_graph(family: Family, network: Network) -> onnx.ModelProto:
    return in_precision(read_graph(family.name, network.name), network, "mixed")


def nodes_of(model: onnx.ModelProto, kinds: tuple[str, ...]) -> Iterator[onnx.NodeProto]:
    found = [node for node in model.graph.node if node.op_type in kinds]
    assert found, kinds
    yield from found


def rounded(graph: Path) -> onnx.ModelProto:
    """A bound graph in float32 whose float16 values are rounded there and back."""
    model = onnx.load(graph)
    types, nodes = element_types(model), list[onnx.NodeProto]()
    for node in model.graph.node:
        nodes.append(node)
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.i == HALF:
                attribute.i = SINGLE
        for index, name in enumerate(node.output):
            if types[name] == HALF:
                node.output[index] = f"{name}!"
                nodes.append(helper.make_node("Cast", [f"{name}!"], [f"{name}!!"], to=HALF))
                nodes.append(helper.make_node("Cast", [f"{name}!!"], [name], to=SINGLE))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    for tensor in model.graph.initializer:
        if tensor.data_type == HALF:
            values = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return model


def output(model: onnx.ModelProto, inputs: Inputs) -> Array:
    """The first output, with no optimisation that would drop the casts there and back."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    (values, *_) = session.run(None, inputs)
    assert isinstance(values, np.ndarray)
    return values


def relative_error(found: Array, expected: Array) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("family, network", SHIPPED)
def test_every_convolution_computes_in_float16(family: Family, network: Network) -> None:
    model = mixed_graph(family, network)
    types = element_types(model)  # raises where a type does not fit its operator
    before = read_graph(family.name, network.name)
    convolutions = list(nodes_of(model, ("Conv",)))
    assert len(convolutions) == len(list(nodes_of(before, ("Conv",))))
    for node in convolutions:
        assert len(node.input) == 2, "the bias is added in float32"
        assert {types[name] for name in (*node.input, *node.output)} == {HALF}


@pytest.mark.parametrize("family, network", SHIPPED)
def test_attention_computes_in_float16_from_end_to_end(family: Family, network: Network) -> None:
    model = mixed_graph(family, network)
    types = element_types(model)
    for node in nodes_of(model, ("MatMul", "Softmax")):
        assert {types[name] for name in (*node.input, *node.output)} == {HALF}
    (softmax,) = nodes_of(model, ("Softmax",))
    makers = {name: node for node in model.graph.node for name in node.output}
    assert makers[softmax.input[0]].op_type == "MatMul"
    readers = [node for node in model.graph.node if softmax.output[0] in node.input]
    assert [node.op_type for node in readers] == ["MatMul"]


@pytest.mark.parametrize("family, network", SHIPPED)
def test_norms_and_what_flows_between_layers_are_float32(family: Family, network: Network) -> None:
    model = mixed_graph(family, network)
    types = element_types(model)
    for node in nodes_of(model, (*NORMS, "Sigmoid")):
        assert {types[name] for name in (*node.input, *node.output)} == {SINGLE}
    for node in nodes_of(model, ("Add",)):
        assert types[node.output[0]] == SINGLE
    borders = [*model.graph.input, *model.graph.output]
    assert {value.type.tensor_type.elem_type for value in borders} == {SINGLE}


@pytest.mark.parametrize("family, network", SHIPPED)
def test_no_node_is_lost_and_no_weight_changes_its_name(family: Family, network: Network) -> None:
    before, after = read_graph(family.name, network.name), mixed_graph(family, network)
    names = [tensor.name for tensor in before.graph.initializer]
    assert [tensor.name for tensor in after.graph.initializer][: len(names)] == names
    added = {"Cast", "Mul", "Add", "Unsqueeze"}

    def count(model: onnx.ModelProto) -> dict[str, int]:
        kinds = [node.op_type for node in model.graph.node if node.op_type not in added]
        return {kind: kinds.count(kind) for kind in kinds}

    assert count(after) == count(before)


@pytest.mark.parametrize(
    "network, gain",
    [("vae_decoder", SANE), ("vae_encoder", SANE), ("vae_decoder", LOUD), ("vae_encoder", 1e5)],
)
def test_a_mixed_vae_is_near_float32_even_where_float16_overflows(
    bound_vae: BoundVae, network: str, gain: float
) -> None:
    inputs = INPUTS[network]
    expected = output(onnx.load(bound_vae(network, "float32", gain)), inputs)
    found = output(rounded(bound_vae(network, "mixed", gain)), inputs)
    assert 1e-6 < relative_error(found, expected) <= 2e-3


def test_plain_float16_is_black_where_the_mixed_form_is_not(bound_vae: BoundVae) -> None:
    """That the rounding of these tests shows what ONNX Runtime hides."""
    plain = output(rounded(bound_vae("vae_decoder", "float16", LOUD)), INPUTS["vae_decoder"])
    assert not np.isfinite(plain).all()


def test_the_mixed_form_is_nearer_to_float32_than_plain_float16(bound_vae: BoundVae) -> None:
    inputs = INPUTS["vae_decoder"]
    expected = output(onnx.load(bound_vae("vae_decoder", "float32", SANE)), inputs)
    half = output(rounded(bound_vae("vae_decoder", "float16", SANE)), inputs)
    mixed = output(rounded(bound_vae("vae_decoder", "mixed", SANE)), inputs)
    assert relative_error(mixed, expected) < relative_error(half, expected)
