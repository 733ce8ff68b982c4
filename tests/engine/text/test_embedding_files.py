"""Embeddings from folders as people have them."""

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file

from sakuga.engine.errors import UsageError
from sakuga.engine.text.embedding_files import read_embeddings
from sakuga.engine.text.embeddings import Embedding, Embeddings
from sakuga.engine.text.tokenizer import clip_tokenizer
from sakuga.profiles.families import SD15_TINY, SDXL_TINY, Family

TOKENIZER = clip_tokenizer()
(ONE,) = SD15_TINY.text_encoders
L, G = SDXL_TINY.text_encoders


def vectors(count: int, hidden: int, dtype: Any = np.float32) -> NDArray[Any]:  # noqa: ANN401
    return np.random.default_rng(count).standard_normal((count, hidden)).astype(dtype)


def load(folder: Path, family: Family) -> Embeddings:
    return Embeddings(read_embeddings(folder, family.text_encoders), TOKENIZER)


def only(folder: Path, tensors: Mapping[str, NDArray[Any]], family: Family) -> Embedding:
    save_file(dict(tensors), folder / "mine.safetensors")
    return load(folder, family).called("mine")[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64, ml_dtypes.bfloat16])
@pytest.mark.parametrize("key", ["emb_params", "<mine>"])
def test_sd15_has_one_tensor(tmp_path: Path, key: str, dtype: Any) -> None:  # noqa: ANN401
    given = vectors(3, ONE.hidden, dtype)
    found = only(tmp_path, {key: given}, SD15_TINY)
    assert (found.name, found.count) == ("mine", 3)
    assert found.vectors[ONE.name].dtype == np.float32
    np.testing.assert_array_equal(found.vectors[ONE.name], given.astype(np.float32))


def test_one_vector_may_stand_alone(tmp_path: Path) -> None:
    given = vectors(1, ONE.hidden)
    found = only(tmp_path, {"<mine>": given[0]}, SD15_TINY)
    np.testing.assert_array_equal(found.vectors[ONE.name], given)


def test_other_tensors_beside_emb_params_do_not_count(tmp_path: Path) -> None:
    given = {"emb_params": vectors(2, ONE.hidden), "step": np.zeros(1, np.float32)}
    assert only(tmp_path, given, SD15_TINY).count == 2


def test_sdxl_has_a_tensor_for_each_encoder(tmp_path: Path) -> None:
    given = {"clip_g": vectors(4, G.hidden), "clip_l": vectors(4, L.hidden)}
    found = only(tmp_path, given, SDXL_TINY)
    np.testing.assert_array_equal(found.vectors[L.name], given["clip_l"])
    np.testing.assert_array_equal(found.vectors[G.name], given["clip_g"])
    assert len(found.sha256) == 64 and found.short_hash == found.sha256[:12]


def fault(folder: Path, family: Family = SD15_TINY) -> str:
    with pytest.raises(UsageError, match="cannot be used") as caught:
        load(folder, family).called("mine")
    return caught.value.note


def test_the_other_family_is_told_when_it_is_named(tmp_path: Path) -> None:
    save_file({"emb_params": vectors(2, ONE.hidden + 1)}, tmp_path / "mine.safetensors")
    assert f"have {ONE.hidden + 1} numbers, this model's {ONE.hidden}" in fault(tmp_path)
    assert f"this model's {L.hidden} and {G.hidden}" in fault(tmp_path, SDXL_TINY)


@pytest.mark.parametrize("suffix", [".pt", ".bin", ".PT"])
def test_a_pickle_is_read_by_its_numbers(tmp_path: Path, suffix: str) -> None:
    given = torch.randn(2, ONE.hidden)
    torch.save({"string_to_param": {"*": given}}, tmp_path / f"mine{suffix}")
    (found, _) = load(tmp_path, SD15_TINY).called("mine")
    np.testing.assert_array_equal(found.vectors[ONE.name], given.numpy())
    assert found.sha256 == hashlib.sha256((tmp_path / f"mine{suffix}").read_bytes()).hexdigest()


def test_sdxl_in_a_pickle(tmp_path: Path) -> None:
    given = {"clip_g": torch.randn(4, G.hidden), "clip_l": torch.randn(4, L.hidden)}
    torch.save(given, tmp_path / "mine.pt")
    (found, _) = load(tmp_path, SDXL_TINY).called("mine")
    np.testing.assert_array_equal(found.vectors[L.name], given["clip_l"].numpy())
    np.testing.assert_array_equal(found.vectors[G.name], given["clip_g"].numpy())


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([torch.ones(1, 32)], "it holds no dictionary"),
        ({"string_to_param": 3}, "it holds no tensor"),
        ({"string_to_param": {"a": torch.ones(1, 32), "b": torch.ones(1, 32)}}, "it holds a, b"),
        ({"a": torch.ones(1, 32), "b": torch.ones(1, 32)}, "it holds a, b"),
        ({f"t{n}": torch.ones(1) for n in range(9)}, "it holds 9 tensors"),
        ({"a": torch.ones(1, 33)}, "have 33 numbers, this model's 32"),
        ({"a": torch.full((1, 32), torch.inf)}, "NaN or infinity"),
        ({"a": torch.ones(1, 32, dtype=torch.int64)}, "its numbers are no floats"),
    ],
)
def test_a_pickle_of_something_else(tmp_path: Path, value: object, words: str) -> None:
    torch.save(value, tmp_path / "mine.pt")
    assert words in fault(tmp_path)


def test_large_files_are_not_even_read(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1 << 19)}, tmp_path / "mine.pt")
    assert "too large for an embedding" in fault(tmp_path)


@pytest.mark.parametrize("bad", [b"", b"PK\x03\x04", b"\x80\x02."])
def test_of_two_with_a_name_the_sound_one_counts(tmp_path: Path, bad: bytes) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "mine.pt").write_bytes(bad)
    assert only(tmp_path, {"x": vectors(1, ONE.hidden)}, SD15_TINY).count == 1
    torch.save({"x": torch.ones(3, ONE.hidden)}, tmp_path / "sub" / "mine.pt")
    assert load(tmp_path, SD15_TINY).called("mine")[0].count == 1  # safetensors before a pickle
    (tmp_path / "mine.safetensors").write_bytes(bad)
    assert load(tmp_path, SD15_TINY).called("mine")[0].count == 3


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are Unicode elsewhere")
def test_a_file_whose_name_is_no_text(tmp_path: Path) -> None:
    save_file({"x": vectors(1, ONE.hidden)}, tmp_path / "mine.safetensors")
    (tmp_path / "mine.safetensors").rename(tmp_path / os.fsdecode(b"\xff.safetensors"))
    assert load(tmp_path, SD15_TINY).called("?")[0].count == 1


@pytest.mark.parametrize(
    "tensors",
    [
        {"a": np.zeros((1, 32), np.float32), "b": np.zeros((1, 32), np.float32)},
        {"emb_params": np.zeros((76, ONE.hidden), np.float32)},
        {"emb_params": np.zeros((0, ONE.hidden), np.float32)},
        {"emb_params": np.full((1, ONE.hidden), np.nan, np.float32)},
        {"emb_params": np.zeros((1, 1, ONE.hidden), np.float32)},
        {"emb_params": np.zeros((1, ONE.hidden), np.int32)},
    ],
)
def test_what_is_no_embedding(tmp_path: Path, tensors: dict[str, NDArray[Any]]) -> None:
    save_file(tensors, tmp_path / "mine.safetensors")
    assert fault(tmp_path)


def test_both_encoders_have_as_many_vectors(tmp_path: Path) -> None:
    given = {"clip_g": vectors(4, G.hidden), "clip_l": vectors(3, L.hidden)}
    save_file(given, tmp_path / "mine.safetensors")
    assert "3 and 4 vectors" in fault(tmp_path, SDXL_TINY)


def header(entry: object) -> bytes:
    text = json.dumps({"x": entry}).encode()
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 64,
        b"{}",
        header([]),
        header({"dtype": "F32", "shape": [1, 32], "data_offsets": [0, 128]}),
        header({"dtype": "F32", "shape": [-1], "data_offsets": [0, 0]}),
        header({"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 0]}),
        header({"dtype": "F32", "shape": "ab", "data_offsets": [0, 0]}),
        header({"dtype": "F32", "shape": [1], "data_offsets": [None, 0]}),
        header({"dtype": "F8", "shape": [1], "data_offsets": [0, 0]}),
        header({"dtype": "F32", "shape": [1], "data_offsets": [0, 0], "more": 1}),
        (2).to_bytes(8, "little") + b"[]",
        (20_000).to_bytes(8, "little") + b"[" * 20_000,
    ],
)
def test_damaged_files(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "mine.safetensors").write_bytes(data)
    assert fault(tmp_path)


def test_a_folder_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no folder"):
        load(tmp_path / "nowhere", SD15_TINY)
    assert load(tmp_path, SD15_TINY).hashes == {}
