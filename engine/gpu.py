"""The GPU of this machine, asked of the NVIDIA driver itself: no CUDA package is needed."""

import ctypes
import sys
from dataclasses import dataclass

_MAJOR, _MINOR = 75, 76  # CUdevice_attribute: compute capability


@dataclass(frozen=True)
class Gpu:
    """The first GPU. `capability` as in "sm89"; `driver` the CUDA version it supports."""

    name: str
    capability: str
    memory_bytes: int
    driver: str

    def __str__(self) -> str:
        return f"{self.name} ({self.capability})"


def find_gpu() -> Gpu | None:
    """The first GPU, None where there is no driver or no GPU it can start."""
    cuda = _driver()
    if cuda is None or cuda.cuInit(0):
        return None
    device, count = ctypes.c_int(), ctypes.c_int()
    if cuda.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return None
    if cuda.cuDeviceGet(ctypes.byref(device), 0):
        return None
    name, memory = ctypes.create_string_buffer(256), ctypes.c_size_t()
    cuda.cuDeviceGetName(name, len(name), device)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    return Gpu(
        name.value.decode(errors="replace"),
        f"sm{_attribute(cuda, _MAJOR, device)}{_attribute(cuda, _MINOR, device)}",
        memory.value,
        _version(cuda),
    )


def driver_version() -> str | None:
    """The CUDA version the driver supports, None where no driver is installed."""
    cuda = _driver()
    return None if cuda is None else _version(cuda)


def _driver() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None


def _version(cuda: ctypes.CDLL) -> str:
    number = ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(number))
    return f"{number.value // 1000}.{number.value % 1000 // 10}"


def _attribute(cuda: ctypes.CDLL, attribute: int, device: ctypes.c_int) -> int:
    value = ctypes.c_int()
    cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
    return value.value
