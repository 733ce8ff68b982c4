"""The reader against the safetensors library: every dtype, any shape, rows, memory, shrinking."""

import hashlib
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies
from safetensors.numpy import save as save_numpy
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch_file

from sakuga.engine.errors import CheckpointError, FileFormatError
from sakuga.export.checkpoint.safetensors_file import SafetensorsFile
from sakuga.export.checkpoint.sources import Array

DTYPES = st.sampled_from(
    [np.bool_, np.uint8, np.int8, np.int16, np.float16, np.int32, np.float32, np.int64, np.float64]
)
SHAPES = numpy_strategies.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
ARRAYS = DTYPES.flatmap(lambda dtype: numpy_strategies.arrays(dtype, SHAPES))
NAMES = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=12).filter(
    lambda name: name != "__metadata__"
)


@given(st.dictionaries(NAMES, ARRAYS, max_size=6), st.dictionaries(NAMES, st.text(max_size=9)))
def test_reads_what_the_library_writes(
    tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, Array], metadata: dict[str, str]
) -> None:
    path = tmp_path_factory.mktemp("file") / "model.safetensors"
    path.write_bytes(save_numpy(arrays, metadata or None))
    with SafetensorsFile(path) as file:
        assert dict(file.metadata) == metadata
        assert set(file.tensors) == set(arrays)
        for name, array in arrays.items():
            assert file.read(name).tobytes() == array.tobytes()
            assert (file.read(name).dtype, file.tensors[name].shape) == (array.dtype, array.shape)


def test_bf16_comes_as_float32_with_the_same_values(tmp_path: Path) -> None:
    values = torch.tensor([0.0, -0.0, 1.0, -2.5, 3e38, 1e-40, float("inf"), float("nan")])
    save_torch_file({"x": values.bfloat16()}, tmp_path / "m.safetensors")
    with SafetensorsFile(tmp_path / "m.safetensors") as file:
        found = file.read("x")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, values.bfloat16().float().numpy())


def test_eight_bit_floats_are_refused_by_name(tmp_path: Path) -> None:
    save_torch_file({"x": torch.zeros(4).to(torch.float8_e4m3fn)}, tmp_path / "m.safetensors")
    with (
        SafetensorsFile(tmp_path / "m.safetensors") as file,
        pytest.raises(FileFormatError, match="8-bit floats"),
    ):
        file.read("x")


@given(st.integers(0, 9), st.integers(0, 9))
def test_reads_any_rows(tmp_path_factory: pytest.TempPathFactory, first: int, last: int) -> None:
    array = np.arange(9 * 2 * 3, dtype=np.int32).reshape(9, 2, 3)
    path = tmp_path_factory.mktemp("file") / "model.safetensors"
    save_file({"before": np.zeros(5, np.uint8), "x": array}, path)
    with SafetensorsFile(path) as file:
        np.testing.assert_array_equal(file.read("x", slice(first, last)), array[first:last])


def test_reading_one_tensor_takes_the_memory_of_one_tensor(tmp_path: Path) -> None:
    arrays = {f"x{index}": np.zeros((256, 1024), np.float32) for index in range(16)}
    save_file(arrays, tmp_path / "m.safetensors")
    with SafetensorsFile(tmp_path / "m.safetensors") as file:
        tracemalloc.start()
        for name in arrays:
            file.read(name)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 2.1 * 2**20  # the array of 1 MiB being made while the one before still lives


def test_a_file_that_shrinks_while_open_raises(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_file({"a": np.ones(4, np.float32), "b": np.ones(1000, np.float32)}, path)
    with SafetensorsFile(path) as file:
        with path.open("r+b") as writer:
            writer.truncate(path.stat().st_size - 1000)
        np.testing.assert_array_equal(file.read("a"), np.ones(4, np.float32))
        with pytest.raises(FileFormatError, match="1000 bytes of b lost"):
            file.read("b")


def test_sha256_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_file({"a": np.ones(4, np.float32)}, path)
    with SafetensorsFile(path) as file:
        file.read("a")
        assert file.sha256() == hashlib.sha256(path.read_bytes()).hexdigest()


def test_no_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"There is no file .*none\.safetensors"):
        SafetensorsFile(tmp_path / "none.safetensors")
    with pytest.raises(CheckpointError, match="is not a file"):
        SafetensorsFile(tmp_path)
