"""Sessions on ONNX Runtime: each row bitwise what it is alone, and errors with a name."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sakuga.engine.backend.onnxruntime import OnnxSession, session_options
from sakuga.engine.bundle import Bundle
from sakuga.engine.errors import BundleDamagedError, RenderError
from sakuga.profiles.buckets import Size
from sakuga.profiles.networks import lengths, networks, shape_of

Arrays = dict[str, NDArray[Any]]

ROWS = 6


def inputs_of(bundle: Bundle, name: str, rows: int) -> Arrays:
    """Random inputs of a network for a picture of 128x160, each row another."""
    generator = np.random.default_rng(0)
    sizes = lengths(Size(160, 128), rows)
    inputs: Arrays = {}
    for tensor in networks(bundle.family)[name].inputs:
        shape = shape_of(tensor, sizes)
        inputs[tensor.name] = generator.standard_normal(shape, np.float32)
    inputs |= {
        "timestep": np.linspace(999, 0.5, rows, dtype=np.float32),
        "time_ids": generator.integers(0, 512, (rows, 6)).astype(np.float32),
        "end_index": np.arange(1, rows + 1),
        "clip_skip": np.array([2]),
    }
    return {tensor.name: inputs[tensor.name] for tensor in networks(bundle.family)[name].inputs}


def some_rows(inputs: Arrays, rows: slice) -> Arrays:
    return {name: a if name == "clip_skip" else a[rows] for name, a in inputs.items()}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["text_encoder", "text_encoder_2", "unet", "vae_decoder"])
def test_a_row_is_the_same_alone_and_in_company(
    sdxl_bundle: Bundle, name: str, threads: int
) -> None:
    """What pictures that do not depend on their neighbours rest on."""
    session = OnnxSession(sdxl_bundle.graph(name), threads)
    inputs = inputs_of(sdxl_bundle, name, ROWS)
    alone = [session.run(some_rows(inputs, slice(row, row + 1))) for row in range(ROWS)]
    for count in range(2, ROWS + 1):
        together = session.run(some_rows(inputs, slice(0, count)))
        for output, values in together.items():
            assert len(values) == count
            for row in range(count):
                assert np.array_equal(values[row], alone[row][output][0]), (output, count, row)


def test_rows_differ_where_inputs_do(sdxl_bundle: Bundle) -> None:
    session = OnnxSession(sdxl_bundle.graph("unet"), threads=1)
    noise = session.run(inputs_of(sdxl_bundle, "unet", 2))["noise_pred"]
    assert not np.allclose(noise[0], noise[1])


def test_inputs_are_brought_to_the_types_of_the_network(sdxl_fp16_bundle: Bundle) -> None:
    session = OnnxSession(sdxl_fp16_bundle.graph("unet"), threads=1)
    inputs = session.in_types(inputs_of(sdxl_fp16_bundle, "unet", 1))
    entry = sdxl_fp16_bundle.manifest.networks["unet"]
    assert {name: array.dtype.name for name, array in inputs.items()} == {
        tensor.name: tensor.dtype for tensor in entry.inputs
    }
    assert session.run(inputs)["noise_pred"].dtype == np.float16


def test_a_wrong_shape_is_an_error_with_shapes(sdxl_bundle: Bundle) -> None:
    session = OnnxSession(sdxl_bundle.graph("unet"), threads=1)
    inputs = inputs_of(sdxl_bundle, "unet", 1)
    with pytest.raises(RenderError, match="failed in the network unet") as caught:
        session.run(inputs | {"time_ids": np.zeros((1, 5), np.float32)})
    assert "time_ids [1, 5]" in caught.value.note


def test_a_missing_input_is_an_error(sdxl_bundle: Bundle) -> None:
    session = OnnxSession(sdxl_bundle.graph("vae_decoder"), threads=1)
    with pytest.raises(RenderError):
        session.run({})


@pytest.mark.parametrize("damage", ["garbage", "no graph", "no weights", "short weights"])
def test_a_network_that_does_not_load_is_named(
    sdxl_bundle: Bundle, tmp_path: Path, damage: str
) -> None:
    folder = shutil.copytree(sdxl_bundle.graph("vae_decoder").parent, tmp_path / "vae_decoder")
    if damage == "garbage":
        (folder / "model.onnx").write_bytes(b"garbage")
    elif damage == "no graph":
        (folder / "model.onnx").unlink()
    elif damage == "no weights":
        (folder / "weights.bin").unlink()
    else:
        data = (folder / "weights.bin").read_bytes()
        (folder / "weights.bin").write_bytes(data[: len(data) // 2])
    with pytest.raises(BundleDamagedError, match="network vae_decoder") as caught:
        OnnxSession(folder / "model.onnx")
    assert caught.value.note and caught.value.hint


def test_a_network_that_has_answered_leaves_the_cores_to_others() -> None:
    options = session_options(3)
    assert options.get_session_config_entry("session.force_spinning_stop") == "1"
    assert options.intra_op_num_threads == 3
    assert session_options(None).intra_op_num_threads == 0  # all cores
