"""Files made to break a reader: each is refused with a typed error that says what is wrong."""

import io
import json
import pickle
import struct
import time
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.errors import FileFormatError, SakugaError
from sakuga.export.checkpoint.safetensors_file import SafetensorsFile

F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def packed(header: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + data


def listed(entries: dict[str, object], data: bytes = b"\0" * 8) -> bytes:
    return packed(json.dumps(entries).encode(), data)


def changed(**fields: object) -> bytes:
    return listed({"x": F32 | fields})


HOSTILE: dict[str, tuple[bytes, str]] = {
    "duplicate name": (
        packed(b'{"x":%s,"x":%s}' % ((json.dumps(F32).encode(),) * 2), b"\0" * 8),
        "'x' stands twice",
    ),
    "duplicate field": (
        packed(b'{"x":{"dtype":"U8","dtype":"U8","shape":[8],"data_offsets":[0,8]}}', b"\0" * 8),
        "'dtype' stands twice",
    ),
    "duplicate metadata": (packed(b'{"__metadata__":{"a":"1","a":"2"}}'), "'a' stands twice"),
    "duplicate spelt with an escape": (
        packed(b'{"x":%s,"\\u0078":%s}' % ((json.dumps(F32).encode(),) * 2), b"\0" * 8),
        "'x' stands twice",
    ),
    "extra field": (changed(extra=1), "and no more"),
    "missing field": (listed({"x": {"dtype": "F32", "shape": [2]}}), "must have dtype, shape"),
    "entry is a list": (listed({"x": [1, 2]}), "must have dtype, shape"),
    "entry is null": (listed({"x": None}), "must have dtype, shape"),
    "metadata is a list": (listed({"__metadata__": []}, b""), "__metadata__ is not a table"),
    "metadata holds a number": (listed({"__metadata__": {"a": 1}}, b""), "'a' is not text"),
    "metadata holds a table": (listed({"__metadata__": {"a": {}}}, b""), "'a' is not text"),
    "unknown dtype": (changed(dtype="F128"), "unknown dtype 'F128'"),
    "dtype in lower case": (changed(dtype="f32"), "unknown dtype 'f32'"),
    "dtype is a number": (changed(dtype=32), "unknown dtype 32"),
    "negative side": (changed(shape=[-2]), "shape of 'x' must be"),
    "side is a float": (changed(shape=[2.0]), "shape of 'x' must be"),
    "side is a boolean": (changed(shape=[True, 2]), "shape of 'x' must be"),
    "side is text": (changed(shape=["2"]), "shape of 'x' must be"),
    "shape is a number": (changed(shape=2), "shape of 'x' must be"),
    "rank nine": (changed(shape=[1] * 8 + [2]), "9 dimensions"),
    "huge shape": (changed(shape=[2**40, 2**40]), "is too large"),
    "huge empty shape": (
        listed({"x": {"dtype": "F32", "shape": [0, 2**62], "data_offsets": [0, 0]}}, b""),
        "is too large",
    ),
    "negative offset": (changed(data_offsets=[-8, 0]), "data_offsets of 'x' must be"),
    "offsets reversed": (changed(data_offsets=[8, 0]), "are no range"),
    "one offset": (changed(data_offsets=[8]), "are no range"),
    "three offsets": (changed(data_offsets=[0, 4, 8]), "are no range"),
    "range too short": (changed(data_offsets=[0, 4]), "8 bytes, but has a range of 4"),
    "range too long": (changed(data_offsets=[0, 12]), "8 bytes, but has a range of 12"),
    "first offset not zero": (
        listed({"x": F32 | {"data_offsets": [8, 16]}}, b"\0" * 16),
        "data bytes 0 to 8 belong to no tensor",
    ),
    "hole": (
        listed({"x": F32, "y": F32 | {"data_offsets": [12, 20]}}, b"\0" * 20),
        "data bytes 8 to 12 belong to no tensor",
    ),
    "overlap": (
        listed({"x": F32, "y": F32 | {"data_offsets": [4, 12]}}, b"\0" * 12),
        "data bytes 4 to 8 belong to 'y' and another",
    ),
    "same range twice": (listed({"x": F32, "y": F32}), "belong to 'y' and another"),
    "trailing bytes": (listed({"x": F32}, b"\0" * 8 + b"PK"), "ends with 2 bytes of no tensor"),
    "truncated data": (listed({"x": F32}, b"\0" * 7), "ends 1 byte too early"),
    "no data": (listed({"x": F32}, b""), "ends 8 bytes too early"),
    "truncated header": (listed({"x": F32})[:30], "too early"),
    "header length 2^63": (struct.pack("<Q", 2**63) + b'{"x":', "claims 9223372036854775808"),
    "header of 17 MiB": (packed(b"{" + b" " * (17 * 2**20) + b"}"), "claims 17825794 bytes"),
    "header length 0": (struct.pack("<Q", 0) + b"[]", "some other format"),
    "leading space": (packed(b" " + json.dumps({"x": F32}).encode(), b"\0" * 8), "some other"),
    "byte order mark": (packed(b"\xef\xbb\xbf{}"), "some other format"),
    "header is a list": (packed(b"[1, 2, 3]"), "some other format"),
    "not UTF-8": (packed(b'{"\xff":{}}'), "byte 2 of the header is not UTF-8"),
    "UTF-16": (packed('{"x":1}'.encode("utf-16-le")), "not valid JSON"),
    "not JSON": (packed(b"{x: 1}"), "not valid JSON"),
    "two values": (packed(b"{}{}"), "not valid JSON"),
    "deep nesting": (packed(b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "not valid JSON"),
    "number of 5000 digits": (packed(b'{"x":' + b"9" * 5000 + b"}"), "not valid JSON"),
    "NUL in a name": (listed({"x\0y": F32}), "control characters"),
    "escape sequence in a name": (listed({"x\x1b[2J": F32}), "control characters"),
    "lone surrogate in a name": (listed({"\ud800": F32}), "control characters"),
    "too many tensors": (
        listed(
            {str(n): {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for n in range(70_000)}
        ),
        "more than 65536 tensors",
    ),
    "empty file": (b"", "it is empty"),
    "seven bytes": (b"\x02\0\0\0\0\0\0", "some other format"),
    "web page": (b"<!DOCTYPE html><html><body>Please log in", "a web page"),
    "git lfs pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS"),
    "gguf": (b"GGUF\x03\0\0\0" + b"\0" * 64, "a GGUF file"),
    "plain pickle": (pickle.dumps({"state_dict": {}}), "a pickle"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_file_is_refused(kind: str, tmp_path: Path) -> None:
    content, reason = HOSTILE[kind]
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(FileFormatError) as caught:
        SafetensorsFile(path)
    assert reason in caught.value.what
    assert str(path) in caught.value.what
    assert caught.value.hint


@pytest.mark.parametrize("zipped", [True, False])
def test_torch_checkpoint_is_refused_with_a_way_out(zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    torch.save({"x": torch.ones(2)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(FileFormatError, match="a pickle") as caught:
        SafetensorsFile(path)
    assert "weights_only=True" in caught.value.hint


def test_zip_with_a_safetensors_name_is_refused(tmp_path: Path) -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("a", "b")
    (tmp_path / "model.safetensors").write_bytes(held.getvalue())
    with pytest.raises(FileFormatError, match="a pickle"):
        SafetensorsFile(tmp_path / "model.safetensors")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    read_or_refuse(tmp_path_factory.mktemp("any") / "m.safetensors", content)


@given(st.data())
def test_any_flipped_byte_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(listed({"x": F32, "y": F32 | {"data_offsets": [8, 16]}}, b"\0" * 16))
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    read_or_refuse(tmp_path_factory.mktemp("any") / "m.safetensors", bytes(content))


def read_or_refuse(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        with SafetensorsFile(path) as file:
            for name, info in file.tensors.items():
                assert file.read(name).shape == info.shape
    except SakugaError as error:
        assert error.hint


def test_the_worst_legal_size_of_header_is_refused_quickly(tmp_path: Path) -> None:
    entries = b",".join(b'"%d":0' % number for number in range(1_400_000))
    (tmp_path / "m.safetensors").write_bytes(packed(b"{" + entries + b"}"))
    began = time.process_time()
    with pytest.raises(FileFormatError):
        SafetensorsFile(tmp_path / "m.safetensors")
    assert time.process_time() - began < 10
