"""Every kernel compiles for every architecture, without a GPU, and is remembered."""

import re
from functools import cache
from pathlib import Path

import pytest

from sakuga.kernels import compile as compiling
from sakuga.kernels.compile import SOURCES, cubin
from sakuga.kernels.cuda_packages import cuda_package

KERNELS = sorted(path.stem for path in SOURCES.glob("*.cu"))
# Of a kernel's body, what moves 16 bytes at once: loads, stores. Float rows take two of each.
WIDE = {
    "denoise_step_float": (2 + 2 + 2 + 6, 2 + 2 + 2),  # output, noise, latent, histories
    "denoise_step_half": (1 + 2 + 2 + 6, 2 + 2 + 1),  # history, latent, input
    "model_inputs_float": (2, 2),
    "model_inputs_half": (2, 1),
    "to_rgb8_float": (3 * 2, 0),  # a pixel's bytes are three: 24 are stored in words of 8
    "to_rgb8_half": (3, 0),
}
OFTEN = ("sm_75", "sm_90", "sm_120")  # the oldest, the newest and one between
ARCHITECTURES = [
    *OFTEN,
    *(pytest.param(each, marks=pytest.mark.slow) for each in ("sm_80", "sm_86", "sm_89", "sm_100")),
]


def test_all_kernels_are_here() -> None:
    assert KERNELS == ["denoise_step", "init_noise", "model_inputs", "preview", "to_rgb8"]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_compiles(kernel: str, architecture: str, tmp_path: Path) -> None:
    code = cubin(kernel, architecture, tmp_path)
    assert code[:4] == b"\x7fELF"
    assert kernel.encode() in code  # the entry points are named after it


def test_compiled_code_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = cubin("preview", "sm_89", tmp_path)

    def fail(*arguments: str) -> bytes:
        raise AssertionError("compiled twice")

    monkeypatch.setattr(compiling, "_compile", fail)
    assert cubin("preview", "sm_89", tmp_path) == first
    with pytest.raises(AssertionError):
        cubin("preview", "sm_86", tmp_path)


@pytest.mark.parametrize("blocked", ["folder", "file"])
def test_a_cache_that_cannot_be_used_is_said_once_and_stops_nothing(
    blocked: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = cubin("preview", "sm_89", tmp_path / "kept")
    folder = tmp_path / blocked
    if blocked == "folder":
        folder.write_bytes(b"a file in its place")
    else:
        (path,) = (tmp_path / "kept").iterdir()
        (folder / path.name).mkdir(parents=True)
    for _ in range(2):
        assert cubin("preview", "sm_89", folder) == kept
    (message,) = (record.getMessage() for record in caplog.records)
    assert str(folder) in message
    if blocked == "file":
        assert len(list(folder.iterdir())) == 1  # no temporary file


def test_another_compiler_compiles_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cubin("preview", "sm_89", tmp_path)
    monkeypatch.setattr(compiling, "_compiler", lambda: "nvrtc 99.0")
    cubin("preview", "sm_89", tmp_path)
    assert len(list(tmp_path.iterdir())) == 2  # and no temporary file


def test_no_fused_multiply_adds(tmp_path: Path) -> None:
    """With fusing allowed the code differs, so the flag reaches the compiler."""
    plain = cubin("denoise_step", "sm_89", tmp_path)
    core = cuda_package("core")
    headers = cuda_package("pathfinder").find_nvidia_header_directory("cudart")
    options = core.ProgramOptions(
        name="denoise_step.cu",
        arch="sm_89",
        std="c++17",
        include_path=[str(SOURCES), headers],
    )
    source = (SOURCES / "denoise_step.cu").read_text()
    fused = core.Program(source, "c++", options).compile("cubin").code
    assert len(fused) != len(plain)


@cache
def ptx(kernel: str, architecture: str) -> str:
    """What NVRTC makes of a source before it is machine code."""
    nvrtc = cuda_package("bindings.nvrtc")
    program = compiling._program(kernel, architecture)
    try:
        program.compile("cubin")
        _, size = nvrtc.nvrtcGetPTXSize(program.handle)
        text = bytes(size)  # which the next call fills
        nvrtc.nvrtcGetPTX(program.handle, text)
    finally:
        program.close()
    return text.decode()


def bodies(text: str) -> dict[str, str]:
    """The entry points by name."""
    return {part.split("(")[0]: part for part in text.split(".entry ")[1:]}


@pytest.mark.parametrize("architecture", ["sm_75", "sm_90"])
@pytest.mark.parametrize("kernel", ["denoise_step", "model_inputs", "to_rgb8"])
def test_rows_are_read_and_written_16_bytes_at_once(kernel: str, architecture: str) -> None:
    found = bodies(ptx(kernel, architecture))
    assert set(found) == {name for name in WIDE if name.startswith(kernel)}
    for name, body in found.items():
        loads, stores = WIDE[name]
        assert len(re.findall(r"\bld\.global(?:\.nc)?\.v4\.[fu]32\b", body)) >= loads, name
        assert len(re.findall(r"\bst\.global\.cg\.v4\.[fu]32\b", body)) >= stores, name
        assert not re.findall(r"\bst\.global\.v2\.\w+", body), name  # a store that was split


@pytest.mark.parametrize("architecture", ["sm_75", "sm_90"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_nothing_lies_in_local_memory(kernel: str, architecture: str) -> None:
    """Neither a copy of a table's row, nor what CUDA's sin keeps for large angles."""
    text = ptx(kernel, architecture)
    assert ".entry" in text
    assert ".local" not in text
