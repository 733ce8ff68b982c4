"""Files that would run something, or take all memory or time: each is a fault, and nothing runs."""

import io
import os
import pickle
import struct
import subprocess
import sys
import time
import tracemalloc
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sakuga.engine.text.embedding_files import pickled_tensors, read_embeddings
from sakuga.engine.text.embedding_fit import UnfitError
from sakuga.engine.text.torch_values import PickleError
from sakuga.profiles.families import SD15_TINY

(ENCODER,) = SD15_TINY.text_encoders
LIMIT_S, LIMIT_BYTES = 1.0, 50_000_000
_watching: list[str] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching and event in ("os.system", "subprocess.Popen", "pickle.find_class"):
        _watching.append(f"{event} {arguments}")


sys.addaudithook(_watch)


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A file that every trap makes; what Python itself tells of running things is watched too."""
    path = tmp_path / "sprung"
    _watching[:] = ["nothing yet"]
    yield path
    seen, _watching[:] = _watching[1:], []
    assert seen == [] and not path.exists()


def fault(folder: Path, data: bytes) -> str:
    """Why a file of these bytes is no embedding; "" where it is one. In bounded time and memory."""
    (folder / "mine.pt").write_bytes(data)
    began = time.process_time()
    tracemalloc.start()
    (found,) = read_embeddings(folder, SD15_TINY.text_encoders)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.process_time() - began < LIMIT_S and peak < LIMIT_BYTES
    return found.fault


def archive(program: bytes, members: dict[str, bytes] | None = None, name: str = "a") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr(f"{name}/data.pkl", program)
        for member, data in (members or {}).items():
            made.writestr(f"{name}/{member}", data)
    return file.getvalue()


def stream(program: bytes, keys: object = (), data: bytes = b"", **facts: object) -> bytes:
    parts: list[object] = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True} | facts]
    head = b"".join(pickle.dumps(part, 2) for part in parts)
    return head + program + pickle.dumps([*keys] if isinstance(keys, tuple) else keys, 2) + data


def forms(program: bytes) -> dict[str, bytes]:
    return {"bare": program, "archive": archive(program), "stream": stream(program)}


class Trap:
    """A value whose pickle calls something when it is loaded."""

    def __init__(self, call: object, *arguments: object) -> None:
        self._made_by = call, arguments

    def __reduce__(self) -> Any:  # noqa: ANN401
        return self._made_by


def traps(sprung: Path) -> dict[str, object]:
    code = f"__import__('os').mkdir({str(sprung)!r})"
    return {
        "os.system": Trap(os.system, f"touch {sprung}"),
        "subprocess": Trap(subprocess.run, ["touch", str(sprung)]),
        "exec": Trap(exec, code),
        "eval": Trap(eval, code),
        "mkdir": Trap(os.mkdir, str(sprung)),
        "touch": Trap(Path.touch, sprung),
        "getattr": Trap(getattr, Trap(__import__, "os"), "system"),
        "import": Trap(__import__, "this"),
        "bytearray": Trap(bytearray, 1 << 33),
        "inside": {"string_to_param": {"*": Trap(exec, code)}, "name": "x"},
        "key": {"a": [({"b": Trap(exec, code)},)]},
    }


TRAPS = list(traps(Path("sprung")))


@pytest.mark.parametrize("trap", ["exec", "mkdir", "touch", "inside"])
def test_a_trap_springs_where_pickles_are_loaded(tmp_path: Path, trap: str) -> None:
    """Else what follows would prove nothing."""
    pickle.loads(pickle.dumps(traps(tmp_path / "sprung")[trap], 2))
    assert (tmp_path / "sprung").exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("trap", TRAPS)
def test_nothing_is_called(tmp_path: Path, canary: Path, trap: str, protocol: int) -> None:
    for data in forms(pickle.dumps(traps(canary)[trap], protocol)).values():
        assert fault(tmp_path, data)


def test_torch_s_own_files_with_a_trap(tmp_path: Path, canary: Path) -> None:
    for zipped in (True, False):
        file = io.BytesIO()
        value = {"*": torch.ones(1, ENCODER.hidden), "x": Trap(os.mkdir, str(canary))}
        torch.save(value, file, _use_new_zipfile_serialization=zipped)
        assert "mkdir" in fault(tmp_path, file.getvalue())


P = b"\x80\x02"
STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"


def text(words: str) -> bytes:
    return b"X" + struct.pack("<I", len(words.encode())) + words.encode()


def tensor(count: bytes = b"K\x20", view: bytes = b"K\x00K\x01K\x20\x86K\x20K\x01\x86") -> bytes:
    """`{"*": tensor}` of one vector in storage "0"; `view`: offset, shape and strides."""
    made = REBUILD + b"(" + STORAGE + count + b"tQ" + view
    return P + b"}" + text("*") + made + b"\x89ccollections\nOrderedDict\n)RtRs."


NUMBERS = {"data/0": bytes(4 * 32)}


def test_the_file_that_others_are_spoilt_from_is_sound(tmp_path: Path, canary: Path) -> None:
    assert fault(tmp_path, archive(tensor(), NUMBERS)) == ""
    whole = stream(tensor(), ("0",), struct.pack("<q", 32) + bytes(128))
    assert fault(tmp_path, whole) == ""


PROGRAMS = {
    "nothing": b"",
    "no value": P + b".",
    "no end": P + b"N" * 100,
    "more than its steps": P + b"N" * 100_000 + b".",
    "a name not on the list": P + b"cos\nsystem\n.",
    "a name of this module": P + b"csakuga.engine.text.torch_pickle\n_Machine\n.",
    "an attribute of a name": P + b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n.",
    "a name split elsewhere": P + b"ctorch\n_utils._rebuild_tensor_v2\n)R.",
    "a name without an end": P + b"c" + b"a" * 1000,
    "a name that is no text": P + b"c\xff\n\xff\n.",
    "a name of an extension": P + b"\x82\x01.",
    "a name from the stack": P + text("os") + text("system") + b"\x93.",
    "a class and its arguments": P + b"(cos\nsystem\n" + text("true") + b"o.",
    "an instance": P + b"(" + text("true") + b"ios\nsystem\n.",
    "keywords for a class": P + b"ccollections\nOrderedDict\n)}\x92.",
    "a call of a text": P + text("os.system") + b")R.",
    "a call of a storage's kind": P + b"ctorch\nFloatStorage\n)R.",
    "a call without arguments": P + b"ccollections\nOrderedDict\nNR.",
    "a dictionary made of a list": P + b"ccollections\nOrderedDict\n](K\x01K\x02\x86e\x85R.",
    "a state for a dictionary": P + b"}}" + text("__class__") + b"Nsb.",
    "a state that is no dictionary": P + b"ctorch.nn.modules.container\nParameterDict\n)\x81Nb.",
    "a reduction of nothing": P + REBUILD + b")R.",
    "a parameter of nothing": P + b"ctorch._utils\n_rebuild_parameter\n)R.",
    "something outside": P + text("a") + b"Q.",
    "a storage of no kind": P + b"(" + text("storage") + text("a") * 3 + b"K\x01tQ.",
    "a storage of less than nothing": tensor(b"J\xff\xff\xff\xff"),
    "a module of nothing": P + b"(" + text("module") + b"NtQ.",
    "an old number": P + b"I1\n.",
    "an old text": P + b"S'a'\n.",
    "bytes": P + b"C\x01a.",
    "a frame": P + b"\x95\x00\x00\x00\x00\x00\x00\x00\x00.",
    "another protocol": b"\x80\x05N.",
    "more taken than made": P + b"ss.",
    "more taken than since the mark": P + b"K\x01(\x85.",
    "a mark that never was": P + b"t.",
    "a memory that never was": P + b"h\x07.",
    "an entry in a list": P + b"]K\x01K\x02s.",
    "half an entry": P + b"}(K\x01u.",
    "an item of a dictionary": P + b"}K\x01a.",
    "a key of tuples": P + b"}" + b")" + b"\x85" * 9000 + b"Ns.",
    "a key that is a list": P + b"}]Ns.",
    "a text longer than the file": P + b"X\xff\xff\xff\xffa.",
    "a text that is none": P + b"X\x02\x00\x00\x00\xff\xff.",
    "a list in itself": P + b"]q\x00h\x00a.",
    "a dictionary in itself": P + b"}q\x00" + text("string_to_param") + b"h\x00s.",
    "depth": P + b"]" * 9000 + b"a" * 8999 + b".",
    "twice the last, again and again": P + b")" + b"q\x00h\x00\x86" * 3000 + b".",
    "a huge number": P + b"}" + text("*") + b"\x8a\xff" + b"\x7f" * 255 + b"s.",
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_programs(tmp_path: Path, canary: Path, program: bytes) -> None:
    for data in forms(program).values():
        assert fault(tmp_path, data)


def number(value: int) -> bytes:
    size = value.bit_length() // 8 + 1
    return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


def view(offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    lists = (b"(" + b"".join(map(number, each)) + b"t" for each in (shape, strides))
    return number(offset) + b"".join(lists)


VIEWS = {
    "beyond the end": view(0, (2, 32), (32, 1)),
    "begun beyond the end": view(1, (1, 32), (32, 1)),
    "begun before the beginning": view(-1, (1, 32), (32, 1)),
    "backwards": view(31, (1, 32), (32, -1)),
    "of less than nothing": view(0, (-1, -32), (32, 1)),
    "of nothing": view(0, (0, 2**80), (32, 1)),
    "of all memory": view(0, (2**40, 32), (0, 1)),
    "of more than numbers can say": view(0, (2**1000, 32), (0, 0)),
    "of more rows than an embedding": view(0, (76, 32), (0, 1)),
    "with steps that numbers cannot say": view(0, (1, 32), (2**900, 2**900)),
    "begun where numbers cannot say": view(2**900, (1, 32), (32, 1)),
    "with more sides than steps": view(0, (1, 32), (1,)),
    "of very many sides": view(0, (1,) * 200 + (32,), (0,) * 200 + (1,)),
    "of texts": b"K\x00" + text("ab") + b"\x85" + text("cd") + b"\x85",
    "of lists": b"K\x00]]",
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_views(tmp_path: Path, canary: Path, view: bytes) -> None:
    assert fault(tmp_path, archive(tensor(view=view), NUMBERS))


def test_steps_along_a_side_of_one_are_none(tmp_path: Path, canary: Path) -> None:
    assert not fault(tmp_path, archive(tensor(view=view(0, (1, 32), (2**900, 1))), NUMBERS))


def zipped(**options: Any) -> bytes:  # noqa: ANN401
    """An archive of an embedding, its pickle written with these options of zipfile."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("a/data.pkl", tensor() + options.pop("behind", b""), **options)
        made.writestr("a/data/0", bytes(128))
    return file.getvalue()


def with_more(*names: str) -> bytes:
    """An embedding, and members of these names besides."""
    file = io.BytesIO(SOUND)
    with zipfile.ZipFile(file, "a") as made, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        for name in names:
            made.writestr(name, tensor())
    return file.getvalue()


def crowd() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("a/data.pkl", tensor())
    data = file.getvalue()
    behind, end = data[data.index(b"PK\x01\x02") : -22], data[-22:]
    many = 5000
    sizes = struct.pack("<HHI", 0xFFFF & many, 0xFFFF & many, len(behind) * many)
    return data[: data.index(b"PK\x01\x02")] + behind * many + end[:8] + sizes + end[16:]


SOUND = archive(tensor(), NUMBERS)
ARCHIVES = {
    "cut off": SOUND[:-30],
    "with nothing in it": archive(b""),
    "of something else": archive(tensor(), NUMBERS, "a/b"),
    "without numbers": archive(tensor()),
    "with too few numbers": archive(tensor(), {"data/0": bytes(124)}),
    "with too many numbers": archive(tensor(), {"data/0": bytes(132)}),
    "with other numbers than it says": archive(tensor(b"K\x21"), NUMBERS),
    "of a processor with another order": archive(tensor(), NUMBERS | {"byteorder": b"big"}),
    "with two pickles": with_more("b/data.pkl"),
    "with a name twice": with_more("a/x", "a/x"),
    "with a pickle twice": with_more("a/data.pkl"),
    "with damaged numbers": SOUND.replace(bytes(128), bytes(127) + b"\x01", 1),
    "compressed": zipped(compress_type=zipfile.ZIP_DEFLATED),
    "of a gigabyte": zipped(compress_type=zipfile.ZIP_BZIP2, behind=bytes(1 << 26)),
    "encrypted": SOUND.replace(
        b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"
    ),
    "of a crowd": crowd(),
    "in an archive": archive(archive(tensor(), NUMBERS)),
}


@pytest.mark.parametrize("data", ARCHIVES.values(), ids=ARCHIVES)
def test_archives(tmp_path: Path, canary: Path, data: bytes) -> None:
    assert fault(tmp_path, data)


COUNT = struct.pack("<q", 32)
STREAMS = {
    "without numbers": stream(tensor()),
    "with numbers of nothing": stream(tensor(), ("0", "1"), COUNT + bytes(999)),
    "with keys that are no texts": stream(tensor(), (0,), COUNT + bytes(128)),
    "with keys that are no list": stream(tensor(), "0", COUNT + bytes(128)),
    "cut off in its numbers": stream(tensor(), ("0",), COUNT + bytes(127)),
    "with another count": stream(tensor(), ("0",), struct.pack("<q", 31) + bytes(128)),
    "with a count below nothing": stream(tensor(), ("0",), struct.pack("<q", -32) + bytes(128)),
    "of a processor with another order": stream(
        tensor(), ("0",), COUNT + bytes(128), little_endian=False
    ),
    "of another version": stream(tensor()).replace(b"M\xe9\x03", b"M\xea\x03", 1),
    "of nothing": pickle.dumps(0x1950A86A20F9469CFC6C, 2),
    "of a number": pickle.dumps(1, 2),
}


@pytest.mark.parametrize("data", STREAMS.values(), ids=STREAMS)
def test_streams(tmp_path: Path, canary: Path, data: bytes) -> None:
    assert fault(tmp_path, data)


@pytest.mark.parametrize("data", [SOUND, stream(tensor(), ("0",), COUNT + bytes(128))])
def test_a_byte_less_or_another_byte(tmp_path: Path, canary: Path, data: bytes) -> None:
    """Never another error; what is read nevertheless is a vector of the right size."""
    for at in range(len(data)):
        with pytest.raises(PickleError):
            pickled_tensors(data[:at])
        for other in (0, 0xFF, ord("R"), data[at] ^ 1):
            spoilt = data[:at] + bytes([other]) + data[at + 1 :]
            with suppress(PickleError, UnfitError):
                for vectors in pickled_tensors(spoilt).values():
                    assert vectors.size <= 32 and vectors.dtype == np.float32
