"""Binding: what lies on the disk is what the checkpoint holds, as the graph asks for it."""

import hashlib
import itertools
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from onnx import TensorProto, helper

from sakuga.engine.bundle import Bundle
from sakuga.engine.errors import TensorError
from sakuga.export.bind import WEIGHTS_FILE, bind, cast, weights_of, weights_size_bytes
from sakuga.export.checkpoint.layouts import open_checkpoint
from sakuga.export.precision import NUMPY_TYPES
from sakuga.export.weight_forms import CORNERS, TRANSPOSED, formed, source

Array = NDArray[Any]
DTYPES: dict[int, np.dtype[Any]] = {
    TensorProto.FLOAT: NUMPY_TYPES["float32"],
    TensorProto.FLOAT16: NUMPY_TYPES["float16"],
    TensorProto.BFLOAT16: NUMPY_TYPES["bfloat16"],
}


class Tensors:
    """Weights from memory; counts what is read."""

    def __init__(self, make: Callable[[str], Array]) -> None:
        self._make = make
        self.names: list[str] = []

    def read(self, name: str) -> Array:
        self.names.append(name)
        return self._make(name)


def keep(name: str, values: Array) -> Array:
    return values


def ignore(written: int) -> None:
    return None


def graph_of(shapes: dict[str, tuple[int, ...]], kind: int) -> onnx.ModelProto:
    """A graph that adds up its weights, all still empty."""
    weights = []
    for name, shape in shapes.items():
        tensor = TensorProto(name=name, data_type=kind, dims=shape)
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="weights")
        weights.append(tensor)
    node = helper.make_node("Sum", list(shapes), ["out"])
    out = helper.make_tensor_value_info("out", kind, None)
    graph = helper.make_graph([node], "sum", [], [out], weights)
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])


def data_of(weight: TensorProto, folder: Path) -> Array:
    place = {entry.key: entry.value for entry in weight.external_data}
    assert place.keys() == {"location", "offset", "length"} and place["location"] == WEIGHTS_FILE
    with (folder / WEIGHTS_FILE).open("rb") as file:
        file.seek(int(place["offset"]))
        data = file.read(int(place["length"]))
    return np.frombuffer(data, DTYPES[weight.data_type]).reshape(tuple(weight.dims))


def _offsets(model: onnx.ModelProto) -> list[tuple[int, int]]:
    places = [{e.key: e.value for e in weight.external_data} for weight in weights_of(model)]
    return [(int(place["offset"]), int(place["length"])) for place in places]


@pytest.mark.parametrize("bundle", ["sdxl_bundle", "sdxl_fp16_bundle"])
def test_a_bundle_holds_the_values_of_its_checkpoint(
    bundle: str, sdxl_file: Path, request: pytest.FixtureRequest
) -> None:
    built: Bundle = request.getfixturevalue(bundle)
    with open_checkpoint(sdxl_file) as checkpoint:
        for network in built.manifest.networks:
            component = checkpoint.components["vae" if network.startswith("vae") else network]
            graph = built.graph(network)
            for weight in weights_of(onnx.load(graph, load_external_data=False)):
                expected = formed(weight.name, component.read(source(weight.name)))
                found = data_of(weight, graph.parent)
                assert np.array_equal(found, expected.astype(DTYPES[weight.data_type]))


@pytest.mark.parametrize("bundle", ["sdxl_bundle", "sdxl_fp16_bundle"])
def test_weights_lie_aligned_in_order_and_fill_the_file(
    bundle: str, request: pytest.FixtureRequest
) -> None:
    built: Bundle = request.getfixturevalue(bundle)
    for network in built.manifest.networks:
        graph = built.graph(network)
        model = onnx.load(graph, load_external_data=False)
        places = _offsets(model)
        for offset, length in places:
            assert offset % (4096 if length >= 65536 else 64) == 0
        for (offset, length), (following, _) in itertools.pairwise(places):
            assert 0 <= following - (offset + length) < 4096
        assert sum(places[-1]) == (graph.parent / WEIGHTS_FILE).stat().st_size
        assert sum(length for _, length in places) == weights_size_bytes(model)


def test_digests_and_sizes_are_those_on_the_disk(tmp_path: Path) -> None:
    model = graph_of({"a": (3, 5), "b": (300, 100), "c": (7,)}, TensorProto.FLOAT)
    written: list[int] = []
    tensors = Tensors(lambda name: np.ones({"a": (3, 5), "b": (300, 100), "c": (7,)}[name]))
    bound = bind(model, tensors, tmp_path / "net", keep, written.append)
    on_disk = {path.name: path.read_bytes() for path in (tmp_path / "net").iterdir()}
    assert bound.size_bytes == {name: len(data) for name, data in on_disk.items()}
    assert bound.sha256 == {n: hashlib.sha256(data).hexdigest() for n, data in on_disk.items()}
    assert written == [60, 120_000, 28]


@pytest.mark.parametrize("kind", DTYPES)
def test_weights_are_transposed_and_cast_as_the_graph_asks(tmp_path: Path, kind: int) -> None:
    values = np.random.default_rng(0).standard_normal((5, 3))
    model = graph_of({"linear.weight" + TRANSPOSED: (3, 5), "conv.weight": (5, 3)}, kind)
    bind(model, Tensors(lambda _: values), tmp_path / "net", keep, ignore)
    transposed, plain = (data_of(weight, tmp_path / "net") for weight in weights_of(model))
    assert np.array_equal(transposed, values.T.astype(DTYPES[kind]))
    assert np.array_equal(plain, values.astype(DTYPES[kind]))


def test_a_bound_graph_computes(tmp_path: Path) -> None:
    import onnxruntime as ort

    model = graph_of({"a": (2, 2), "b" + TRANSPOSED: (2, 2)}, TensorProto.FLOAT)
    values = np.array([[1, 2], [3, 4]], np.float32)
    bind(model, Tensors(lambda _: values), tmp_path / "net", keep, ignore)
    session = ort.InferenceSession(tmp_path / "net" / "model.onnx")
    (total,) = session.run(None, {})
    assert isinstance(total, np.ndarray)
    assert np.array_equal(total, values + values.T)


def test_the_hook_sees_each_tensor_once_and_may_change_it(tmp_path: Path) -> None:
    parts = {"c" + ending: (4, 3, 2, 2) for ending in CORNERS}
    model = graph_of({"a": (2, 3), "b" + TRANSPOSED: (2, 3), **parts}, TensorProto.FLOAT)
    shapes = {"a": (2, 3), "b": (3, 2), "c": (4, 3, 3, 3)}
    seen: list[tuple[str, tuple[int, ...]]] = []

    def adapt(name: str, values: Array) -> Array:
        seen.append((name, values.shape))
        return values + (0 if name == "a" else 1)

    tensors = Tensors(lambda name: np.zeros(shapes[name], np.float32))
    bind(model, tensors, tmp_path / "net", adapt, ignore)
    assert seen == list(shapes.items())  # in the layout of the checkpoint, not of the graph
    assert tensors.names == list(shapes)
    a, b, *c = (data_of(weight, tmp_path / "net") for weight in weights_of(model))
    assert np.all(a == 0) and np.all(b == 1)
    assert [each[0, 0].sum() for each in c] == [9] * 4  # all nine taps, whichever are together


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", DTYPES)
@pytest.mark.parametrize("stored", [np.float16, np.float32, np.float64])
def test_nan_and_infinity_are_refused_in_every_type(
    tmp_path: Path, kind: int, stored: type[np.floating[Any]], bad: float
) -> None:
    values = np.zeros((4, 4), stored)
    values[2, 1] = bad
    model = graph_of({"up.weight": (4, 4)}, kind)
    with pytest.raises(TensorError, match=r"up\.weight holds NaN or infinity") as caught:
        bind(model, Tensors(lambda _: values), tmp_path / "net", keep, ignore)
    assert "1 of its 16 values" in caught.value.note


@pytest.mark.parametrize("ending", [TRANSPOSED, *CORNERS])
def test_an_error_names_the_tensor_of_the_checkpoint(tmp_path: Path, ending: str) -> None:
    values = np.zeros((3, 3, 3, 3) if ending in CORNERS else (3, 3), np.float32)
    values[..., 2, 1] = np.nan
    shape = (3, 3, 2, 2) if ending in CORNERS else (3, 3)
    model = graph_of({"up.weight" + ending: shape}, TensorProto.FLOAT)
    with pytest.raises(TensorError, match=r"^up\.weight holds NaN or infinity") as caught:
        bind(model, Tensors(lambda _: values), tmp_path / "net", keep, ignore)
    assert f"{values.size // 9} of its {values.size} values" in caught.value.note


def test_nothing_but_nan_is_refused_as_clearly() -> None:
    with pytest.raises(TensorError, match="NaN"):
        cast("w", np.full(3, np.nan, np.float32), np.dtype(np.float16))


def test_what_float16_cannot_hold_is_refused_with_its_size(tmp_path: Path) -> None:
    values = np.array([1.0, -70_000.0], np.float32)
    model = graph_of({"w": (2,)}, TensorProto.FLOAT16)
    with pytest.raises(TensorError, match="w holds values that float16 cannot") as caught:
        bind(model, Tensors(lambda _: values), tmp_path / "net", keep, ignore)
    assert "7e+04" in caught.value.note
    assert "fp32" in caught.value.hint


FINITE = st.floats(-65_504, 65_504, width=32)


@given(hnp.arrays(np.float32, hnp.array_shapes(max_side=4), elements=FINITE))
def test_casting_rounds_to_nearest(values: NDArray[np.float32]) -> None:
    half = cast("w", values, np.dtype(np.float16))
    assert half.dtype == np.float16
    assert np.array_equal(half, values.astype(np.float16))
    brain = cast("w", values, np.dtype(ml_dtypes.bfloat16))
    subnormal = 2.0**-134
    allowed = np.maximum(np.abs(values).astype(np.float64) * 2**-8, subnormal)
    assert np.all(np.abs(brain.astype(np.float64) - values) <= allowed)


def test_memory_stays_at_a_few_tensors(tmp_path: Path) -> None:
    side, count = 512, 24
    names = [f"w{index}{TRANSPOSED if index % 2 else ''}" for index in range(count)]
    model = graph_of(dict.fromkeys(names, (side, side)), TensorProto.FLOAT16)
    one = side * side * 4
    tensors = Tensors(lambda _: np.ones((side, side), np.float32))
    bind(model, tensors, tmp_path / "first", keep, ignore)  # imports and caches
    tracemalloc.start()
    bind(model, tensors, tmp_path / "net", keep, ignore)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3.5 * one < count * one / 2
