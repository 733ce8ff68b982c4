"""The scan for what float16 cannot hold, on a decoder that is too loud for it."""

import hashlib
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from sakuga.engine.backend.base import Array
from sakuga.engine.bundle import Bundle
from sakuga.engine.errors import BuildError
from sakuga.export.precision import Precision
from sakuga.export.samples import Inputs, decoder_inputs, encoder_inputs, text_inputs, unet_inputs
from sakuga.export.scan import FLOAT16_MAX, Scan, check_scan, scan
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import SDXL_TINY

BoundVae = Callable[[str, Precision, float], Path]

SIZE = Size(128, 128)
LATENT = decoder_inputs(SDXL_TINY, SIZE)
# How much the first layers are scaled up: not at all; beyond what float16 holds, as the stock SDXL
# VAE is; beyond what even the mixed form holds.
SANE, LOUD, DEAFENING = 1.0, 100.0, 1000.0


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def run(model: onnx.ModelProto, inputs: Inputs, outputs: list[str]) -> dict[str, Array]:
    """A graph on ONNX Runtime with no optimisation."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    arrays = map(np.asarray, session.run(outputs, inputs))
    return dict(zip(outputs, arrays, strict=True))


def magnitudes(graph: Path, inputs: Inputs) -> dict[str, float]:
    """The largest magnitude of every float32 value a float32 graph makes on its way."""
    model = onnx.load(graph)
    inferred = onnx.shape_inference.infer_shapes(model).graph
    floats = {
        value.name
        for value in (*inferred.value_info, *inferred.output)
        if value.type.tensor_type.elem_type == TensorProto.FLOAT
    }
    made = [name for node in model.graph.node for name in node.output if name in floats]
    known = {value.name for value in model.graph.output}
    for name in made:
        if name not in known:
            model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return {name: float(np.abs(values).max()) for name, values in run(model, inputs, made).items()}


@pytest.mark.parametrize("gain", [SANE, LOUD])
def test_magnitudes_are_those_of_the_float32_graph(bound_vae: BoundVae, gain: float) -> None:
    expected = magnitudes(bound_vae("vae_decoder", "float32", gain), LATENT)
    found = scan(bound_vae("vae_decoder", "float16", gain), LATENT)
    # Weights are rounded to float16 in one of them.
    assert found.largest == pytest.approx(max(expected.values()), rel=2e-3)
    assert found.largest == pytest.approx(expected[found.at], rel=2e-3)
    assert found.values > 50


def test_a_sane_decoder_passes_in_both_forms(bound_vae: BoundVae) -> None:
    for precision in ("float16", "mixed"):
        found = scan(bound_vae("vae_decoder", precision, SANE), LATENT)
        assert 0 < found.largest < FLOAT16_MAX / 100
        check_scan("vae_decoder", found)


def test_a_loud_decoder_fails_in_plain_float16_and_the_value_is_named(bound_vae: BoundVae) -> None:
    found = scan(bound_vae("vae_decoder", "float16", LOUD), LATENT)
    assert FLOAT16_MAX < found.largest < math.inf
    with pytest.raises(BuildError, match="vae_decoder overflows float16") as caught:
        check_scan("vae_decoder", found)
    assert f"{found.at} reaches {found.largest:.4g}; float16 holds 65,504." in caught.value.note
    assert "--precision fp32" in caught.value.hint


def test_the_mixed_form_of_a_loud_decoder_passes(bound_vae: BoundVae) -> None:
    plain = scan(bound_vae("vae_decoder", "float16", LOUD), LATENT)
    found = scan(bound_vae("vae_decoder", "mixed", LOUD), LATENT)
    check_scan("vae_decoder", found)
    assert plain.largest / 100 < found.largest < plain.largest / 8


def test_what_even_the_mixed_form_cannot_hold_is_refused(bound_vae: BoundVae) -> None:
    with pytest.raises(BuildError, match="overflows float16"):
        check_scan("vae_decoder", scan(bound_vae("vae_decoder", "mixed", DEAFENING), LATENT))


def test_a_loud_encoder_is_no_different(bound_vae: BoundVae) -> None:
    image = encoder_inputs(SIZE)
    assert scan(bound_vae("vae_encoder", "float16", 1e5), image).largest > FLOAT16_MAX
    check_scan("vae_encoder", scan(bound_vae("vae_encoder", "mixed", 1e5), image))


def test_the_file_is_left_as_it_was(bound_vae: BoundVae) -> None:
    graph = bound_vae("vae_decoder", "float16", LOUD)
    before = digests(graph.parent)
    scan(graph, LATENT)
    assert digests(graph.parent) == before
    assert set(before) == {"model.onnx", "weights.bin"}


def test_a_float32_graph_stores_nothing_in_float16(bound_vae: BoundVae) -> None:
    assert scan(bound_vae("vae_decoder", "float32", LOUD), LATENT) == Scan(0, 0.0, "")
    check_scan("vae_decoder", Scan(0, 0.0, ""))


def test_nan_counts_as_too_large(bound_vae: BoundVae) -> None:
    poisoned = {"latent": np.full_like(LATENT["latent"], np.nan)}
    found = scan(bound_vae("vae_decoder", "float16", SANE), poisoned)
    assert found.largest == math.inf
    with pytest.raises(BuildError, match="overflows"):
        check_scan("vae_decoder", found)


def test_the_bar_is_float16s_largest_number() -> None:
    assert np.finfo(np.float16).max == FLOAT16_MAX
    check_scan("unet", Scan(1, FLOAT16_MAX, "x"))
    with pytest.raises(BuildError):
        check_scan("unet", Scan(1, math.nextafter(FLOAT16_MAX, math.inf), "x"))


def test_a_causal_mask_is_not_taken_for_overflow(sdxl_fp16_bundle: Bundle) -> None:
    for encoder in ("text_encoder", "text_encoder_2"):
        graph = sdxl_fp16_bundle.graph(encoder)
        constants = [
            numpy_helper.to_array(tensor)
            for tensor in onnx.load(graph, load_external_data=False).graph.initializer
            if tensor.data_location != TensorProto.EXTERNAL
        ]
        assert any(np.isneginf(values).any() for values in constants if values.dtype.kind == "f")
        table = np.load(sdxl_fp16_bundle.token_embedding(encoder))
        found = scan(graph, text_inputs(table, clip_skip=1))
        assert 0 < found.largest < FLOAT16_MAX / 100


def test_a_unet_passes_and_most_of_it_is_looked_at(plan_unet: Path) -> None:
    found = scan(plan_unet, unet_inputs(SDXL_TINY, Size(64, 64)))
    assert 0 < found.largest < FLOAT16_MAX / 100
    heavy = ("Conv", "Gemm", "MatMul")
    nodes = onnx.load(plan_unet, load_external_data=False).graph.node
    assert found.values > sum(node.op_type in heavy for node in nodes)


def test_a_graph_that_cannot_be_run_is_a_build_error(bound_vae: BoundVae) -> None:
    graph = bound_vae("vae_decoder", "float16", SANE)
    weights = graph.with_name("weights.bin")
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(BuildError, match="cannot be tried out"):
        scan(graph, LATENT)
    assert sorted(path.name for path in graph.parent.iterdir()) == ["model.onnx", "weights.bin"]


def test_a_magnitude_that_is_no_number_fails() -> None:
    with pytest.raises(BuildError):
        check_scan("unet", Scan(1, float("nan"), "x"))
