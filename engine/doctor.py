"""What this machine has: versions, processors, optional packages, disk."""

import ctypes
import os
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sakuga.engine.backend.onnxruntime import onnxruntime_library
from sakuga.engine.errors import MissingDependencyError
from sakuga.engine.platform import cache_folder
from sakuga.engine.version import VERSION

_NEEDED = ("numpy", "onnxruntime", "tokenizers", "pillow", "onnx")
_VERIFY = ("torch", "diffusers", "transformers")  # the `verify` extra, for build --verify


def examine() -> dict[str, str]:
    """Findings by topic, in words."""
    findings = {
        "sakuga": VERSION,
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": platform.platform(),
        "processors": f"{os.cpu_count()} ({platform.machine()})",
        "nvidia driver": _driver(),
    }
    findings |= {name: _version(name) or "missing: reinstall sakuga" for name in _NEEDED}
    for name in _VERIFY:
        findings[name] = _version(name) or "not installed; only build --verify needs it"
    findings["providers"] = _providers()
    findings["cache"] = _cache()
    findings["free disk here"] = f"{shutil.disk_usage(Path.cwd()).free / 1e9:.1f} GB"
    return findings


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _driver() -> str:
    try:
        cuda = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return "none: pictures are rendered on the processor"
    count = ctypes.c_int()
    number = ctypes.c_int()
    if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)):
        return "installed, but it does not start"
    cuda.cuDriverGetVersion(ctypes.byref(number))
    return f"CUDA {number.value // 1000}.{number.value % 1000 // 10}, {count.value} GPU(s)"


def _providers() -> str:
    try:
        library = onnxruntime_library()
    except MissingDependencyError as error:
        return f"{error.what} {error.note}"
    return ", ".join(library.get_available_providers())


def _cache() -> str:
    try:
        return str(cache_folder())
    except OSError as error:
        return f"cannot be written ({error.strerror}): bundles are read in full at every start"
