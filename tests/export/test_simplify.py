"""Clean-up of a raw export: each pass on a small graph, with the same numbers before and after."""

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from sakuga.export.simplify import (
    drop_unused_weights,
    lean_reshapes,
    simplified,
    strip_metadata,
    transposed_weights,
    weights_to_initializers,
    weights_to_inputs,
)
from sakuga.profiles.networks import Network, Tensor

Arrays = dict[str, NDArray[Any]]


def model_of(body: str) -> ir.Model:
    """A graph in ONNX's text form; shapes are inferred as torch would have noted them."""
    text = f'<ir_version: 10, opset_import: ["" : 18]> {body}'
    return ir.from_proto(onnx.shape_inference.infer_shapes(onnx.parser.parse_model(text)))


def run(model: ir.Model, inputs: Arrays) -> list[NDArray[Any]]:
    data = ir.to_proto(model).SerializeToString()
    outputs: Any = ort.InferenceSession(data).run(None, inputs)
    return list(outputs)


def operators(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


# Splits heads as torch writes it: the shape is put together from the sizes at run time.
HEADS = """
heads (float[rows, tokens, 12] x) => (float[rows, tokens, 3, 4] out) {
    rows = Shape<start: int = 0, end: int = 1>(x)
    tokens = Shape<start: int = 1, end: int = 2>(x)
    heads = Constant<value_ints: ints = [3, 4]>()
    shape = Concat<axis: int = 0>(rows, tokens, heads)
    out = Reshape<allowzero: int = 1>(x, shape)
}
"""


def test_a_reshape_becomes_constant_where_zero_and_minus_one_can_say_it() -> None:
    before, after = model_of(HEADS), model_of(HEADS)
    lean_reshapes(after.graph)
    (node,) = (node for node in after.graph if node.op_type == "Reshape")
    shape = node.inputs[1]
    made = None if shape is None else shape.producer()
    assert made is not None and made.op_type == "Constant"
    assert made.attributes["value"].as_tensor().numpy().tolist() == [0, 0, 3, 4]
    for rows, tokens in ((1, 1), (2, 7), (5, 3)):
        x = np.random.default_rng(0).standard_normal((rows, tokens, 12), np.float32)
        assert np.array_equal(run(before, {"x": x})[0], run(after, {"x": x})[0])


MERGE = """
merge (float[rows, 4, height, width] x, int64[3] shape) => (float[rows, 4, area] out) {
    out = Reshape(x, shape)
}
"""


def test_one_unknown_axis_becomes_minus_one() -> None:
    model = model_of(MERGE)
    lean_reshapes(model.graph)
    x = np.zeros((2, 4, 3, 5), np.float32)
    # The shape given is no longer read.
    assert run(model, {"x": x, "shape": np.array([1, 1, 1])})[0].shape == (2, 4, 15)


TWO_UNKNOWN = """
unfold (float[rows, area, 4] x, int64[4] shape) => (float[rows, height, width, 4] out) {
    out = Reshape(x, shape)
}
"""


def test_two_unknown_axes_are_left_to_the_run() -> None:
    model = model_of(TWO_UNKNOWN)
    lean_reshapes(model.graph)
    assert operators(model) == ["Reshape"]
    for shape in ((2, 3, 5, 4), (2, 5, 3, 4)):
        inputs = {"x": np.zeros((2, 15, 4), np.float32), "shape": np.array(shape)}
        assert run(model, inputs)[0].shape == shape


SWAP = """
swap (float[a, b] x, int64[2] shape) => (float[b, a] out) { out = Reshape(x, shape) }
"""


def test_an_axis_that_moved_is_not_taken_for_one_that_stayed() -> None:
    model = model_of(SWAP)
    lean_reshapes(model.graph)
    assert operators(model) == ["Reshape"]


LINEAR = """
linear (float[rows, 3] x, float[5, 3] w, float[5, 3] u) => (float[rows, 5] out, float[5, 3] own) {
    a = Transpose<perm: ints = [1, 0]>(w)
    b = Transpose<perm: ints = [1, 0]>(w)
    c = Transpose<perm: ints = [1, 0]>(u)
    first = MatMul(x, a)
    second = MatMul(x, b)
    third = MatMul(x, c)
    sum = Add(first, second)
    out = Add(sum, third)
    own = Identity(w)
}
"""


def test_transposed_weights_are_asked_of_the_binder() -> None:
    before, after = model_of(LINEAR), model_of(LINEAR)
    transposed_weights(after.graph, {"x"})
    drop_unused_weights(after.graph, {"x"})
    assert "Transpose" not in operators(after)
    shapes = {value.name: tuple(value.shape or ()) for value in after.graph.inputs}
    assert list(shapes) == ["x", "w", "w.T", "u.T"]  # w is still read as it is, u is not
    assert shapes["w.T"] == shapes["u.T"] == (3, 5)
    generator = np.random.default_rng(0)
    x, w, u = (generator.standard_normal(s, np.float32) for s in ((2, 3), (5, 3), (5, 3)))
    expected = run(before, {"x": x, "w": w, "u": u})
    found = run(after, {"x": x, "w": w, "w.T": w.T.copy(), "u.T": u.T.copy()})
    assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))


VALUES = """
values (float[2, 3, 4] w, float[rows, 3] x) => (float[4, 3, 2] a, float[3, rows] b) {
    a = Transpose<perm: ints = [2, 1, 0]>(w)
    b = Transpose<perm: ints = [1, 0]>(x)
}
"""


def test_other_transposes_stay() -> None:
    model = model_of(VALUES)
    weight = next(value for value in model.graph.inputs if value.name == "w")
    transposed_weights(model.graph, {"x"})
    assert operators(model) == ["Transpose", "Transpose"]
    assert weight in model.graph.inputs


NETWORK = Network(
    "toy",
    inputs=(Tensor("x", "float32", ("rows", 3)),),
    outputs=(Tensor("out", "float32", ("rows", 5)),),
    axes=(),
)

RAW = """
toy (float[rows, 3] x) => (float[rows, 5] out)
    <float[5, 3] w = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15}, float[5] bias = {1,2,3,4,5},
     float[2] surplus = {1, 2}>
{
    t = Transpose<perm: ints = [1, 0]>(w)
    y = MatMul(x, t)
    two = Constant<value_float: float = 2.0>()
    four = Mul(two, two)
    again = Mul(two, two)
    scaled = Mul(bias, four)
    same = Mul(bias, again)
    z = Add(y, scaled)
    out = Add(z, same)
}
"""


@pytest.fixture
def shipped() -> onnx.ModelProto:
    model = model_of(RAW)
    for node in model.graph:
        node.metadata_props["pkg.torch.onnx.stack_trace"] = "a long story"
        node.doc_string = "a comment"
    model.metadata_props["author"] = "somebody"
    return simplified(model, NETWORK)


def test_what_ships_has_names_and_no_numbers(shipped: onnx.ModelProto) -> None:
    assert [value.name for value in shipped.graph.input] == ["x"]
    empty = [t for t in shipped.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    assert {tensor.name: tuple(tensor.dims) for tensor in empty} == {"w.T": (3, 5), "bias": (5,)}
    assert not any(tensor.raw_data or tensor.float_data for tensor in empty)
    assert b"story" not in shipped.SerializeToString()
    assert b"somebody" not in shipped.SerializeToString()
    names = [node.name for node in shipped.graph.node]
    assert names == [f"n{index}" for index in range(len(names))]


def test_what_ships_does_no_work_twice(shipped: onnx.ModelProto) -> None:
    assert [node.op_type for node in shipped.graph.node].count("Mul") == 1  # bias by four
    assert "Transpose" not in {node.op_type for node in shipped.graph.node}


def test_what_ships_computes_the_same(shipped: onnx.ModelProto) -> None:
    weights = {
        "w.T": np.arange(1, 16, dtype=np.float32).reshape(5, 3).T,
        "bias": np.arange(1, 6, dtype=np.float32),
    }
    for tensor in shipped.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            tensor.CopyFrom(onnx.numpy_helper.from_array(weights[tensor.name].copy(), tensor.name))
    x = np.random.default_rng(0).standard_normal((4, 3), np.float32)
    (expected,) = run(model_of(RAW), {"x": x})
    (found,) = run(ir.from_proto(shipped), {"x": x})
    assert np.allclose(found, expected, rtol=1e-6)


def test_weights_lose_the_wrapper_s_prefix_and_their_values() -> None:
    model = model_of(RAW.replace(" w ", " unet_w ").replace("(w)", "(unet_w)"))
    value = model.graph.initializers.pop("unet_w")
    value.name = "unet.w"
    model.graph.initializers.add(value)
    weights_to_inputs(model.graph)
    names = [value.name for value in model.graph.inputs]
    assert sorted(str(name) for name in names) == ["bias", "surplus", "w", "x"]
    assert not model.graph.initializers
    assert all(value.const_value is None for value in model.graph.inputs)


def test_metadata_goes_and_numbers_stay() -> None:
    model = model_of(HEADS)
    next(iter(model.graph)).metadata_props["story"] = "long"
    strip_metadata(model)
    assert not any(node.metadata_props for node in model.graph)
    assert run(model, {"x": np.zeros((1, 2, 12), np.float32)})[0].shape == (1, 2, 3, 4)


def test_borders_stay_inputs() -> None:
    proto = weights_to_initializers(ir.to_proto(model_of(LINEAR)), {"x", "u"})
    assert [value.name for value in proto.graph.input] == ["x", "u"]
    assert [tensor.name for tensor in proto.graph.initializer] == ["w"]
