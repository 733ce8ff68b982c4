"""Files of weights: in every form people share them the same numbers, and nothing that runs."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sakuga.engine.errors import CheckpointError, FileFormatError, UnknownFamilyError
from sakuga.export.upscaler.weights_file import read_weights

STATE = {
    "body.0.weight": torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(1)),
    "body.1.weight": torch.randn(4).half(),
    "narrow": torch.randn(5, 2).bfloat16(),
    "index": torch.arange(12).reshape(3, 4),
    "count": torch.tensor(7),
    "turned": torch.randn(3, 5).T,
}


def same(path: Path) -> bool:
    read = read_weights(path)
    return read.keys() == STATE.keys() and all(
        np.array_equal(read[name], (each.float() if each.dtype == torch.bfloat16 else each).numpy())
        for name, each in STATE.items()
    )


@pytest.mark.parametrize("zipped", [True, False], ids=["archive", "stream"])
@pytest.mark.parametrize("wrapper", [None, "params", "params_ema", "state_dict", "net"])
def test_pickles_of_torch(tmp_path: Path, wrapper: str | None, zipped: bool) -> None:
    path = tmp_path / "a.pth"
    value: object = STATE if wrapper is None else {wrapper: STATE, "iter": 400_000}
    torch.save(value, path, _use_new_zipfile_serialization=zipped)
    assert same(path)


def test_the_averaged_network_is_the_one(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save({"params": {"body.0.weight": torch.zeros(1)}, "params_ema": STATE}, path)
    assert same(path)


def test_what_a_module_says_of_itself(tmp_path: Path) -> None:
    """A state_dict is an OrderedDict with the versions of its modules attached, and long."""
    module = torch.nn.Sequential(*(torch.nn.BatchNorm2d(2) for _ in range(300)))
    torch.save(module.state_dict(), tmp_path / "a.pth")
    read = read_weights(tmp_path / "a.pth")
    assert len(read) == 1500
    assert read["299.num_batches_tracked"].dtype == np.int64
    assert np.array_equal(read["0.running_var"], np.ones(2, np.float32))


def test_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({name: each.contiguous() for name, each in STATE.items()}, path)
    assert same(path)


class Trap:
    def __reduce__(self) -> Any:  # noqa: ANN401
        return os.mkdir, ("sprung",)


def pickled(value: object) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


REFUSED = {
    "a program": pickled({"params": STATE, "x": Trap()}),
    "a module": pickled(torch.nn.Linear(2, 2)),
    "no tensors": pickled({"params": {"a": 1}}),
    "a number": pickled(3),
    "one number shown a billion times": pickled({"a": torch.zeros(1).expand(1 << 14, 1 << 13)}),
    "cut off": pickled(STATE)[:-90],
    "a text": b"<html>log in</html>",
    "nothing": b"",
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_nothing_else_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pth").write_bytes(data)
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_weights(tmp_path / "a.pth")
    assert not (tmp_path / "sprung").exists()


def test_numbers_that_are_none(tmp_path: Path) -> None:
    torch.save({"a": torch.tensor([1.0, float("nan")])}, tmp_path / "a.pth")
    with pytest.raises(FileFormatError, match="NaN or infinity, for instance in a"):
        read_weights(tmp_path / "a.pth")


def test_no_file_and_no_such_format(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_weights(tmp_path / "a.pth")
    with pytest.raises(FileFormatError, match="no file of weights"):
        read_weights(tmp_path / "a.onnx")


def test_a_checkpoint_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "sdxl.safetensors"
    name = "model.diffusion_model.input_blocks.0.0.weight"
    size = (1 << 30) + 4
    header = f'{{"{name}":{{"dtype":"F32","shape":[{size // 4}],"data_offsets":[0,{size}]}}}}'
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header.encode())
        file.truncate(8 + len(header) + size)  # a hole, which takes no disk
    with pytest.raises(UnknownFamilyError, match="is a checkpoint, no upscaler"):
        read_weights(path)
