"""The graphs that ship, as files: names, shapes, operators and sizes, full families included."""

from collections import Counter
from pathlib import Path

import onnx
import pytest
from onnx import NodeProto, TensorProto, helper

from sakuga.engine.backend.onnxruntime import onnxruntime_library, session_options
from sakuga.engine.bundle import Bundle
from sakuga.export.graph_files import GRAPHS, graph_versions, read_graph, write_graph
from sakuga.export.weight_forms import TRANSPOSED
from sakuga.profiles.families import SD15, SDXL, SDXL_TINY, TRACED, Family
from sakuga.profiles.networks import Network, Tensor, networks
from sakuga.profiles.weights import weights

SHIPPED = [
    pytest.param(family, network, id=f"{family.name}-{network.name}")
    for family in TRACED.values()
    for network in networks(family).values()
]
UNETS = [pytest.param(family, id=family.name) for family in TRACED.values()]

# What every runtime we build for can run. A new trace that needs more should be looked at.
OPERATORS = {
    *("Add", "Clip", "Concat", "Constant", "Conv", "Cos", "Div", "Erf", "Expand", "Gather"),
    *("GatherElements", "Gemm", "InstanceNormalization", "LayerNormalization", "MatMul", "Mul"),
    *("Reshape", "Resize", "Shape", "Sigmoid", "Sin", "Slice", "Softmax", "Split", "Squeeze"),
    *("Sub", "Transpose", "Unsqueeze"),
}


def test_all_graphs_together_are_small() -> None:
    sizes = [path.stat().st_size for path in GRAPHS.rglob("*.xz")]
    assert len(sizes) == len(SHIPPED)
    assert sum(sizes) <= 2_000_000


def test_versions_of_the_trace_are_recorded() -> None:
    assert {"torch", "diffusers", "transformers", "onnx", "onnxscript", "onnx-ir"} == set(
        graph_versions()
    )


def test_a_written_graph_reads_back(tmp_path: Path) -> None:
    graph = read_graph("sd15-tiny", "text_encoder")
    size = write_graph(graph, tmp_path, "sd15-tiny", "text_encoder")
    assert size == (tmp_path / "sd15-tiny" / "text_encoder.onnx.xz").stat().st_size
    assert read_graph("sd15-tiny", "text_encoder", tmp_path) == graph


@pytest.mark.parametrize("family, network", SHIPPED)
def test_weights_have_the_names_and_shapes_of_the_family(family: Family, network: Network) -> None:
    graph = read_graph(family.name, network.name).graph
    shapes = weights(family)[_component(network)]
    for tensor in _empty(graph):
        name, dims = tensor.name.removesuffix(TRANSPOSED), tuple(tensor.dims)
        expected = shapes[name]
        assert dims == (expected[::-1] if tensor.name.endswith(TRANSPOSED) else expected)
        assert tensor.data_type == TensorProto.FLOAT
        assert not tensor.raw_data and not tensor.float_data


@pytest.mark.parametrize("family", UNETS)
def test_every_weight_of_a_family_is_used_once_or_gathered_by_the_host(family: Family) -> None:
    used = Counter(
        (_component(network), tensor.name.removesuffix(TRANSPOSED))
        for network in networks(family).values()
        for tensor in _empty(read_graph(family.name, network.name).graph)
    )
    everything = {(part, name) for part, shapes in weights(family).items() for name in shapes}
    gathered = {
        (config.name, "text_model.embeddings.token_embedding.weight")
        for config in family.text_encoders
    }
    assert used.keys() == everything - gathered
    assert set(used.values()) == {1}  # the hook of a build sees every tensor once


@pytest.mark.parametrize("family, network", SHIPPED)
def test_borders_are_those_of_the_profile(family: Family, network: Network) -> None:
    graph = read_graph(family.name, network.name).graph
    _check_borders(list(graph.input), network.inputs)
    _check_borders(list(graph.output), network.outputs)


def _check_borders(values: list[onnx.ValueInfoProto], expected: tuple[Tensor, ...]) -> None:
    assert [value.name for value in values] == [tensor.name for tensor in expected]
    for value, tensor in zip(values, expected, strict=True):
        kind = TensorProto.INT64 if tensor.dtype == "int64" else TensorProto.FLOAT
        assert value.type.tensor_type.elem_type == kind
        dims = value.type.tensor_type.shape.dim
        assert [dim.dim_value or None for dim in dims] == [
            dim if isinstance(dim, int) else None for dim in tensor.dims
        ]


@pytest.mark.parametrize("family, network", SHIPPED)
def test_graphs_use_plain_operators_of_one_opset(family: Family, network: Network) -> None:
    model = read_graph(family.name, network.name)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 18)]
    assert {node.op_type for node in model.graph.node} <= OPERATORS
    assert {node.domain for node in model.graph.node} == {""}
    assert not model.functions and not model.metadata_props and not model.graph.value_info
    assert not any(node.doc_string or node.metadata_props for node in model.graph.node)


@pytest.mark.parametrize("family, network", SHIPPED)
def test_graphs_hold_no_weight_and_pass_the_checker(family: Family, network: Network) -> None:
    model = read_graph(family.name, network.name)
    inline = [t for t in model.graph.initializer if t.data_location != TensorProto.EXTERNAL]
    mask_bytes = 77 * 77 * 4
    assert sum(len(tensor.raw_data) for tensor in inline) <= mask_bytes + 2048
    for tensor in _empty(model.graph):
        model.graph.initializer.remove(tensor)
        dims = list(tensor.dims)
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, dims))
    onnx.checker.check_model(model)
    onnx.shape_inference.infer_shapes(model, strict_mode=True)


@pytest.mark.parametrize("family, network", SHIPPED)
def test_no_weight_is_transposed_at_run_time(family: Family, network: Network) -> None:
    graph = read_graph(family.name, network.name).graph
    names = {tensor.name for tensor in graph.initializer}
    assert not any(n.op_type == "Transpose" and n.input[0] in names for n in graph.node)


@pytest.mark.parametrize("family, blocks", [(SDXL, 70), (SD15, 16)], ids=["sdxl", "sd15"])
def test_unet_attention_is_scores_softmax_values_without_a_mask(
    family: Family, blocks: int
) -> None:
    graph = read_graph(family.name, "unet").graph
    maker = {name: node for node in graph.node for name in node.output}
    readers: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    softmaxes = [node for node in graph.node if node.op_type == "Softmax"]
    assert len(softmaxes) == 2 * blocks  # self and cross
    for node in softmaxes:
        assert maker[node.input[0]].op_type == "MatMul"
        assert [reader.op_type for reader in readers[node.output[0]]] == ["MatMul"]


@pytest.mark.parametrize("family", UNETS)
def test_unets_upsample_to_the_size_of_the_skip_connection(family: Family) -> None:
    graph = read_graph(family.name, "unet").graph
    constants = {tensor.name for tensor in graph.initializer}
    constants |= {node.output[0] for node in graph.node if node.op_type == "Constant"}
    resizes = [node for node in graph.node if node.op_type == "Resize"]
    assert len(resizes) == len(family.unet.channels) - 1
    for node in resizes:
        _, _, scales, sizes = node.input
        assert not scales
        assert sizes not in constants


def _component(network: Network) -> str:
    return "vae" if network.name.startswith("vae") else network.name


def _empty(graph: onnx.GraphProto) -> list[TensorProto]:
    return [t for t in graph.initializer if t.data_location == TensorProto.EXTERNAL]


@pytest.mark.parametrize("name", ["unet", "text_encoder_2"])
def test_onnx_runtime_runs_a_gelu_as_one_node(
    sdxl_bundle: Bundle, tmp_path: Path, name: str
) -> None:
    options = session_options(1)
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime_library().InferenceSession(
        sdxl_bundle.graph(name), options, ["CPUExecutionProvider"]
    )
    found = onnx.load(tmp_path / "optimised.onnx", load_external_data=False)
    kinds = Counter(node.op_type for node in found.graph.node)
    graph = read_graph(SDXL_TINY.name, name).graph
    assert (
        kinds["Gelu"] + kinds["BiasGelu"] == sum(node.op_type == "Erf" for node in graph.node) > 0
    )
    assert kinds["Erf"] == 0
