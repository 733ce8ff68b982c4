"""The CUDA sources compiled as C++, to be proved against their NumPy twins without a GPU."""

import ctypes
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SOURCES = Path(__file__).parents[2] / "kernels" / "cuda"
# Every kernel behind one C function: grid, threads, then the kernel's own arguments.
WRAPPERS = """
#include "denoise_step.cu"
#include "init_noise.cu"
#include "to_rgb8.cu"
#include "preview.cu"
#define GRID unsigned gx, unsigned gy, unsigned threads
#define STEP(NAME, T)                                                                            \\
    extern "C" void host_##NAME(GRID, const Launch* launch, const StepRow* table, int steps,     \\
                                const unsigned long long* seeds, size_t count, float* latents,   \\
                                float* histories, const T* outputs, T* inputs, float* times) {   \\
        play(gx, gy, threads, [&] {                                                              \\
            NAME(*launch, table, steps, seeds, count, latents, histories, outputs, inputs,       \\
                 times);                                                                         \\
        });                                                                                      \\
    }
#define INIT(NAME, T)                                                                            \\
    extern "C" void host_##NAME(GRID, const Launch* launch, const StepRow* firsts,               \\
                                const unsigned long long* seeds, size_t count, float* latents,   \\
                                T* inputs, float* times) {                                       \\
        play(gx, gy, threads,                                                                    \\
             [&] { NAME(*launch, firsts, seeds, count, latents, inputs, times); });              \\
    }
#define RGB8(NAME, T)                                                                            \\
    extern "C" void host_##NAME(GRID, const T* image, unsigned char* pixels, size_t area,        \\
                                int round_half_even) {                                           \\
        play(gx, gy, threads, [&] { NAME(image, pixels, area, round_half_even); });              \\
    }
STEP(denoise_step_float, float)
STEP(denoise_step_half, __half)
INIT(init_noise_float, float)
INIT(init_noise_half, __half)
RGB8(to_rgb8_float, float)
RGB8(to_rgb8_half, __half)
extern "C" void host_preview(GRID, const Launch* launch, const Colours* colours, size_t area,
                             const float* latents, unsigned char* pixels) {
    play(gx, gy, threads, [&] { preview(*launch, *colours, area, latents, pixels); });
}
extern "C" void host_philox(unsigned* words, unsigned key0, unsigned key1) {
    philox(words, key0, key1);
}
extern "C" size_t size_of_step_row() { return sizeof(StepRow); }
extern "C" size_t size_of_launch() { return sizeof(Launch); }
"""


def compiler() -> list[str]:
    """The system's C++ compiler, else the one in the `ziglang` wheel."""
    for name in ("c++", "g++", "clang++"):
        if found := shutil.which(name):
            return [found]
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "c++"]
    pytest.fail("no C++ compiler: install one, or `pip install ziglang`")


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Any:  # noqa: ANN401 (a C library)
    """The kernels as C functions."""
    folder = tmp_path_factory.mktemp("kernels")
    source, library = folder / "kernels.cpp", folder / "kernels.so"
    source.write_text(WRAPPERS)
    flags = ["-std=c++17", "-O2", "-ffp-contract=off", "-shared", "-fPIC", f"-I{SOURCES}"]
    subprocess.run([*compiler(), *flags, source, "-o", library], check=True)
    loaded = ctypes.CDLL(str(library))
    for name in ("size_of_step_row", "size_of_launch"):
        getattr(loaded, name).restype = ctypes.c_size_t
    return loaded
