"""Attention as one operator: in every UNet, for every head, with the same predictions."""

from collections import Counter
from typing import Literal

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from sakuga.engine.backend.base import Array
from sakuga.export.fused import fused
from sakuga.export.graph_files import graph_of
from sakuga.export.network_graph import Backend, network_graphs
from sakuga.profiles.families import FAMILIES, SDXL_TINY, Family

FEATURES = 8
DOMAINS: dict[Backend, set[str]] = {"onnx": {"", "com.microsoft"}, "rtx": {""}, "tensorrt": {""}}


def attention(heads: int) -> onnx.ModelProto:
    """Attention written out, as torch writes it."""
    width = heads * FEATURES
    shapes = {"q": ["rows", "places", width], "k": ["rows", "tokens", width]}
    shapes |= {"v": shapes["k"], "y": shapes["q"]}
    infos = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    }
    split = numpy_helper.from_array(np.array([0, -1, heads, FEATURES], np.int64))
    joined = numpy_helper.from_array(np.array([0, -1, width], np.int64))
    node = helper.make_node
    nodes = [node("Constant", [], ["split"], value=split)]
    nodes += [node("Reshape", [name, "split"], [f"{name}1"]) for name in "qkv"]
    nodes += [
        node("Transpose", [f"{name}1"], [f"{name}2"], perm=perm)
        for name, perm in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3]))
    ]
    nodes += [
        node("Mul", ["q2", "scale"], ["q3"]),
        node("MatMul", ["q3", "k2"], ["scores"]),
        node("Softmax", ["scores"], ["weights"], axis=-1),
        node("MatMul", ["weights", "v2"], ["mixed"]),
        node("Transpose", ["mixed"], ["apart"], perm=[0, 2, 1, 3]),
        node("Constant", [], ["joined"], value=joined),
        node("Reshape", ["apart", "joined"], ["y"], "out"),
    ]
    scale = numpy_helper.from_array(np.array(FEATURES**-0.5, np.float32), "scale")
    graph = helper.make_graph(nodes, "attention", [infos[n] for n in "qkv"], [infos["y"]], [scale])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def run(model: onnx.ModelProto, inputs: dict[str, Array]) -> Array:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, inputs)[0])


@settings(deadline=None, max_examples=40)  # each makes two sessions
@given(
    *(st.integers(1, most) for most in (3, 4, 300, 231)),
    st.integers(0, 2**32 - 1),
)
def test_it_is_the_attention_that_was_written_out(
    rows: int, heads: int, places: int, tokens: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    inputs: dict[str, Array] = {
        name: random.standard_normal((rows, length, heads * FEATURES), np.float32)
        for name, length in (("q", places), ("k", tokens), ("v", tokens))
    }
    model = fused(attention(heads))
    assert [node.op_type for node in model.graph.node] == ["MultiHeadAttention"]
    assert not model.graph.initializer
    np.testing.assert_allclose(run(model, inputs), run(attention(heads), inputs), atol=2e-6)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())
def test_every_attention_of_a_unet_is_one(family: Family) -> None:
    before, after = graph_of(family, "unet"), fused(graph_of(family, "unet"))
    kinds = Counter(node.op_type for node in before.graph.node)
    made = [node for node in after.graph.node if node.op_type == "MultiHeadAttention"]
    assert len(made) == kinds["Softmax"] > 0
    assert "Softmax" not in {node.op_type for node in after.graph.node}
    known = {
        (heads, round((channels / heads) ** -0.5, 6))
        for channels, heads in zip(family.unet.channels, family.unet.heads, strict=True)
    }
    for node in made:
        heads, scale = (helper.get_node_attr_value(node, name) for name in ("num_heads", "scale"))
        assert (heads, round(scale, 6)) in known


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_graphs_for_plans_keep_to_the_standard(precision: Literal["fp32", "fp16"]) -> None:
    for backend, own in DOMAINS.items():
        graphs = {
            each.network.name: each.model for each in network_graphs(SDXL_TINY, backend, precision)
        }
        domains = {name: {o.domain for o in m.opset_import} for name, m in graphs.items()}
        assert domains.pop("unet") == own
        assert all(each == {""} for each in domains.values())
