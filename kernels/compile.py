"""CUDA sources to machine code by NVRTC, which needs no GPU; remembered by all they depend on.

Nothing here is loaded until a kernel is compiled: the package `cuda-core` and NVRTC come with the
`cuda` extra.
"""

import hashlib
import logging
import secrets
from functools import cache
from pathlib import Path
from typing import Any

from sakuga.kernels.cuda_packages import cuda_package

_LOG = logging.getLogger("sakuga")
SOURCES = Path(__file__).parent / "cuda"
# Fused multiply-adds would give other bits than the NumPy twins.
FUSED = False
STANDARD = "c++17"


def cubin(kernel: str, architecture: str, folder: Path) -> bytes:
    """Machine code of `kernel`.cu for an architecture such as `sm_89`.

    Taken from `folder` where it was compiled before from the same sources, with the same flags, by
    the same compiler; else compiled and put there, or used without being kept where `folder`
    cannot be written. Raises what cuda.core raises where the compiler fails.
    """
    path = folder / f"{kernel}-{architecture}-{_digest(kernel, architecture)[:32]}.cubin"
    try:
        return path.read_bytes()
    except OSError:  # not there, or not to be read
        code = _compile(kernel, architecture)
    try:
        _keep(path, code)
    except OSError as error:
        _tell_not_kept(folder, error.strerror or "it cannot be written")
    return code


def _keep(path: Path, code: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_suffix(f".{secrets.token_hex(4)}.tmp")
    try:
        temporary.write_bytes(code)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@cache
def _tell_not_kept(folder: Path, reason: str) -> None:
    """Once for a folder: every kernel fails in the same way."""
    _LOG.warning("Compiled kernels are not kept in %s: %s.", folder, reason)


def _compile(kernel: str, architecture: str) -> bytes:
    program = _program(kernel, architecture)
    try:
        return bytes(program.compile("cubin").code)
    finally:
        program.close()


def _program(kernel: str, architecture: str) -> Any:  # noqa: ANN401
    core = cuda_package("core")
    headers = cuda_package("pathfinder").find_nvidia_header_directory("cudart")
    options = core.ProgramOptions(
        name=f"{kernel}.cu",
        arch=architecture,
        std=STANDARD,
        fma=FUSED,
        include_path=[str(SOURCES), *([headers] if headers else [])],
    )
    return core.Program(_source(kernel), "c++", options)


def _digest(kernel: str, architecture: str) -> str:
    parts = [kernel, architecture, STANDARD, f"fma={FUSED}", _compiler(), _source(kernel)]
    headers = sorted([*SOURCES.glob("*.cuh"), *SOURCES.glob("*.h")])
    parts += [path.read_text(encoding="utf-8") for path in headers]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _source(kernel: str) -> str:
    return (SOURCES / f"{kernel}.cu").read_text(encoding="utf-8")


@cache
def _compiler() -> str:
    _, major, minor = cuda_package("bindings.nvrtc").nvrtcVersion()
    return f"nvrtc {major}.{minor}"
