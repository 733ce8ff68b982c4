"""The CUDA sources compiled as C++ for a processor: to prove them where there is no GPU.

`kernels/cuda/host.h` plays the grid. The same sources, the same arithmetic: a kernel gives the
bits of its NumPy twin, but for `log` and `sin` of the noise, in which two libraries may differ.
"""

import ctypes
import importlib.util
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from sakuga.kernels.compile import SOURCES

_FLAGS = ("-std=c++17", "-O2", "-ffp-contract=off", "-shared", "-fPIC")

# Every kernel behind one C function, which takes what cuLaunchKernel takes: a grid, and a list of
# addresses at which the arguments lie.
_STEP = "*(const Launch*)a[0], *(const StepRow**)a[1], *(int*)a[2]"
_SEEDS = "*(const unsigned long long**)a[3], *(size_t*)a[4]"
_CALLS = {
    "init_noise": f"{_STEP}, {_SEEDS}, *(const float**)a[5], *(const float**)a[6], *(float**)a[7]",
    "model_inputs_{name}": f"{_STEP}, *(size_t*)a[3], *(size_t*)a[4], *(const float**)a[5], "
    "*(const float**)a[6], *({T}**)a[7], *(float**)a[8]",
    "denoise_step_{name}": f"{_STEP}, {_SEEDS}, *(size_t*)a[5], *(const float**)a[6], "
    "*(const float**)a[7], *(float**)a[8], *(float**)a[9], *(const {T}**)a[10], "
    "*({T}**)a[11], *(float**)a[12]",
    "to_rgb8_{name}": "*(const {T}**)a[0], *(unsigned char**)a[1], *(unsigned int**)a[2], "
    "*(size_t*)a[3], *(int*)a[4]",
    "preview_{name}": f"{_STEP}, *(const Foresight*)a[3], *(const Colours*)a[4], *(size_t*)a[5], "
    "*(const float**)a[6], *(const {T}**)a[7], *(unsigned char**)a[8]",
}
_PROOFS = """
extern "C" void host_philox(unsigned* words, unsigned key0, unsigned key1) {
    philox(words, key0, key1);
}
extern "C" size_t size_of_step_row() { return sizeof(StepRow); }
extern "C" size_t size_of_launch() { return sizeof(Launch); }
extern "C" size_t size_of_colours() { return sizeof(Colours); }
"""


@cache
def host_library() -> ctypes.CDLL:
    """The kernels as C functions `host_KERNEL(grid_x, grid_y, threads, void** arguments)`.

    Raises FileNotFoundError without a C++ compiler, CalledProcessError where it fails.
    """
    with TemporaryDirectory(prefix="sakuga-kernels-", ignore_cleanup_errors=True) as folder:
        source, library = Path(folder) / "kernels.cpp", Path(folder) / "kernels.so"
        source.write_text(_source(), encoding="utf-8")
        subprocess.run(
            [*_compiler(), *_FLAGS, f"-I{SOURCES}", str(source), "-o", str(library)], check=True
        )
        loaded = ctypes.CDLL(str(library))
    for name in ("size_of_step_row", "size_of_launch", "size_of_colours"):
        getattr(loaded, name).restype = ctypes.c_size_t
    return loaded


def _source() -> str:
    lines = [f'#include "{path.name}"' for path in sorted(SOURCES.glob("*.cu"))]
    for pattern, arguments in _CALLS.items():
        types = {"float": "float", "half": "__half"} if "{name}" in pattern else {"": ""}
        for name, kind in types.items():
            kernel = pattern.replace("{name}", name)
            call = f"{kernel}({arguments.replace('{T}', kind)});"
            lines.append(
                f'extern "C" void host_{kernel}(unsigned gx, unsigned gy, unsigned threads, '
                f"void** a) {{ play(gx, gy, threads, [&] {{ {call} }}); }}"
            )
    return "\n".join(lines) + _PROOFS


def _compiler() -> list[str]:
    """The system's C++ compiler, else the one in the `ziglang` wheel."""
    for name in ("c++", "g++", "clang++"):
        if found := shutil.which(name):
            return [found]
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "c++"]
    raise FileNotFoundError("no C++ compiler: install one, or `pip install ziglang`")
