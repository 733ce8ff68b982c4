"""Every kernel compiles for every architecture, without a GPU, and is remembered."""

from pathlib import Path

import pytest

from sakuga.kernels import compile as compiling
from sakuga.kernels.compile import SOURCES, cubin
from sakuga.kernels.cuda_packages import cuda_package

KERNELS = sorted(path.stem for path in SOURCES.glob("*.cu"))
ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")


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
