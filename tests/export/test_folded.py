"""Convolutions behind a doubling: the same pictures from folded ones, where sizes allow it."""

from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from sakuga.engine.backend.base import Array
from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.export.bind import MODEL_FILE, Tensors, bind
from sakuga.export.folded import folded
from sakuga.export.graph_files import graph_of
from sakuga.export.network_graph import Backend, exact_decoder, network_graphs
from sakuga.export.samples import decoder_inputs
from sakuga.export.weight_forms import formed, source
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import FAMILIES, SD15, SDXL, SDXL_TINY, Family
from sakuga.profiles.networks import networks

DECODER = networks(SDXL_TINY)["vae_decoder"]
CHANNELS, OUT = 3, 5
FLOOR = {"nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
BACKENDS: tuple[Backend, ...] = ("onnx", "rtx", "tensorrt")
PRECISIONS: tuple[Literal["fp32", "fp16"], ...] = ("fp32", "fp16")


def doubling() -> onnx.ModelProto:
    """A picture doubled, then a convolution of 3x3 whose weights have yet to come."""
    shapes = ("x", [1, CHANNELS, "h", "w"]), ("y", [1, OUT, "2h", "2w"])
    given_, made = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes
    )
    nodes = [
        helper.make_node("Resize", ["x", "", "scales"], ["doubled"], mode="nearest", **FLOOR),
        helper.make_node("Conv", ["doubled", "w", "b"], ["y"], "conv", pads=[1, 1, 1, 1]),
    ]
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")
    weights = [
        TensorProto(name=name, data_type=TensorProto.FLOAT, dims=dims)
        for name, dims in (("w", (OUT, CHANNELS, 3, 3)), ("b", (OUT,)))
    ]
    for tensor in weights:
        tensor.data_location = TensorProto.EXTERNAL
    graph = helper.make_graph(nodes, "doubling", [given_], [made], [*weights, scales])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def run(model: onnx.ModelProto, weights: dict[str, Array], x: Array) -> Array:
    for tensor in model.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            values = formed(tensor.name, weights[source(tensor.name)]).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (made,) = session.run(None, {"x": x})
    return np.asarray(made)


@settings(deadline=None, max_examples=40)  # each makes two sessions
@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 2**32 - 1))
def test_places_are_the_same_for_every_size(height: int, width: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    weights = {"w": random.standard_normal((OUT, CHANNELS, 3, 3)), "b": random.random(OUT)}
    x = random.standard_normal((1, CHANNELS, height, width), np.float32)
    whole, parts = run(doubling(), weights, x), run(folded(doubling(), DECODER), weights, x)
    assert parts.shape == (1, OUT, 2 * height, 2 * width)
    np.testing.assert_allclose(parts, whole, atol=2e-5)


def kinds_of(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())
@pytest.mark.parametrize("name", ["unet", "vae_decoder"])
def test_every_doubling_is_folded_where_all_sizes_double(family: Family, name: str) -> None:
    before = kinds_of(graph_of(family, name))
    after = kinds_of(folded(graph_of(family, name), networks(family)[name]))
    # SD1.5 has sizes in multiples of 8, so its levels may be odd, and their last place is cut off.
    kept = name == "unet" and family.kind == "sd15"
    levels = 2 if name == "unet" and not kept else 3
    assert before["Resize"] == levels
    assert after["Resize"] == (levels if kept else 0)
    assert after["Conv"] - before["Conv"] == (0 if kept else 3 * levels)


@pytest.mark.parametrize(("family", "name"), [(SDXL, "vae_encoder"), (SD15, "unet")])
def test_what_cannot_be_folded_stays_as_it_is(family: Family, name: str) -> None:
    before = graph_of(family, name).SerializeToString(deterministic=True)
    model = folded(graph_of(family, name), networks(family)[name])
    assert model.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize(
    ("node", "name", "value"),
    [
        (0, "mode", "linear"),
        (0, "nearest_mode", "ceil"),
        (0, "coordinate_transformation_mode", "half_pixel"),
        (1, "pads", [0, 0, 0, 0]),
        (1, "strides", [2, 2]),
        (1, "dilations", [2, 2]),
        (1, "group", 3),
    ],
)
def test_another_doubling_or_convolution_is_refused(node: int, name: str, value: object) -> None:
    """A graph traced otherwise must not be folded as if it were this one."""
    model = doubling()
    kept = [each for each in model.graph.node[node].attribute if each.name != name]
    del model.graph.node[node].attribute[:]
    model.graph.node[node].attribute.extend([*kept, helper.make_attribute(name, value)])
    with pytest.raises(AssertionError):
        folded(model, DECODER)


def test_builds_in_float32_for_onnxruntime_alone_are_folded() -> None:
    doublings = {
        (backend, precision): [
            each.network.name
            for each in network_graphs(SDXL_TINY, backend, precision)
            if kinds_of(each.model)["Resize"]
        ]
        for backend in BACKENDS
        for precision in PRECISIONS
    }
    assert doublings.pop(("onnx", "fp32")) == []
    assert list(doublings.values()) == [["unet", "vae_decoder"]] * 5
    exact = exact_decoder(SDXL_TINY, network_graphs(SDXL_TINY, "rtx", "fp16"))
    assert exact is not None and not kinds_of(exact.model)["Resize"]


def test_a_decoder_makes_the_same_picture(vae_weights: Tensors, tmp_path: Path) -> None:
    images = []
    for change in (lambda model: model, lambda model: folded(model, DECODER)):
        folder = tmp_path / str(len(images))
        model = change(graph_of(SDXL_TINY, "vae_decoder"))
        bind(model, vae_weights, folder, lambda name, values: values, lambda written: None)
        inputs = decoder_inputs(SDXL_TINY, Size(160, 128))
        images.append(OnnxSession(folder / MODEL_FILE, 1).run(inputs)["image"])
    np.testing.assert_allclose(images[1], images[0], atol=2e-5)
