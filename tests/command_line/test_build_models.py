"""Models that `sakuga build` refuses."""

import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

Run = Any  # the fixture


def lora(path: Path) -> None:
    down = np.zeros((4, 8), np.float32)
    key = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q"
    save_file({f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": down.T.copy()}, path)


def vae(path: Path) -> None:
    save_file({"decoder.conv_in.weight": np.zeros((8, 4, 3, 3), np.float32)}, path)


def other(path: Path) -> None:
    save_file({"model.layers.0.weight": np.zeros(3, np.float32)}, path)


def cut(path: Path) -> None:
    save_file({"a": np.zeros(100, np.float32)}, path)
    path.write_bytes(path.read_bytes()[:-50])


def text(path: Path) -> None:
    path.write_text("<!doctype html><title>Sign in</title>")


def empty(path: Path) -> None:
    path.touch()


def pickle(path: Path) -> None:
    path.write_bytes(b"\x80\x02}q\x00X\x05\x00\x00\x00modelq\x01K\x01s.")


def huge_header(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 1 << 40) + b"{}")


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (None, "no file"),
        (lora, "LoRA"),
        (vae, "VAE"),
        (other, "family|model"),
        (cut, "bytes"),
        (text, "safetensors"),
        (empty, "empty|bytes"),
        (pickle, "pickle"),
        (huge_header, "header"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_models_that_are_none(
    run: Run, tmp_path: Path, write: Callable[[Path], None] | None, words: str
) -> None:
    model = tmp_path / ("model.ckpt" if write is pickle else "model.safetensors")
    if write is not None:
        write(model)
    before = set(tmp_path.rglob("*"))
    done = run("build", model, "--out", tmp_path / "b.sakuga")
    assert done.code == 1
    assert re.search(words, done.err, re.I), done.err
    done.check_error()
    assert set(tmp_path.rglob("*")) == before


def test_missing_and_misshapen_tensors(run: Run, sdxl_file: Path, tmp_path: Path) -> None:
    tensors = load_file(sdxl_file)
    names = [name for name in tensors if name.startswith("model.diffusion_model.output_blocks.1.")]
    few = tmp_path / "few.safetensors"
    save_file({name: values for name, values in tensors.items() if name not in names}, few)
    done = run("build", few, "--out", tmp_path / "b.sakuga")
    done.check_error()
    assert done.code == 1 and f"{len(names)} of the tensors" in done.err
    assert "up_blocks.0" in done.err and "more" in done.err
    wrong = tmp_path / "wrong.safetensors"
    tensors["model.diffusion_model.out.2.bias"] = np.zeros(5, np.float32)
    save_file(tensors, wrong)
    done = run("build", wrong, "--out", tmp_path / "b.sakuga")
    done.check_error()
    assert done.code == 1 and "conv_out.bias" in done.err and "[5]" in done.err
    assert not (tmp_path / "b.sakuga").exists()


def test_nan_in_the_weights(run: Run, sdxl_file: Path, tmp_path: Path) -> None:
    tensors = load_file(sdxl_file)
    tensors["model.diffusion_model.out.2.bias"][0] = np.nan
    save_file(tensors, tmp_path / "nan.safetensors")
    done = run("build", tmp_path / "nan.safetensors", "--out", tmp_path / "b.sakuga")
    done.check_error()
    assert done.code == 1 and "conv_out.bias" in done.err and "NaN" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["nan.safetensors"]
