"""Launches compiled kernels on the current CUDA context, through the driver's own interface.

cuda.core's `launch` takes no structures by value, and a launch's slots are one
(NVIDIA/cuda-python issue 150); the driver takes anything that has an address.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sakuga.kernels.compile import cubin
from sakuga.kernels.cuda_packages import cuda_package

THREADS = 256
# What a kernel is given: NumPy scalars and records by value, device addresses as uint64.
Argument = NDArray[Any] | np.generic


class Launcher:
    """The kernels of one source file, loaded into the current context."""

    def __init__(self, source: str, architecture: str, folder: Path) -> None:
        """Compile `source`.cu for `architecture`, or take it from `folder`, and load it."""
        self._driver = driver = cuda_package("bindings.driver")
        self._module = _checked(driver.cuModuleLoadData, cubin(source, architecture, folder))
        self._functions: dict[str, Any] = {}

    def launch(
        self, name: str, blocks: tuple[int, int], stream: int, arguments: Sequence[Argument]
    ) -> None:
        """Put one launch on a stream (its handle; 0, the default one); returns at once.

        The arguments are copied before this returns. Raises RuntimeError with CUDA's own name of
        what went wrong.
        """
        if name not in self._functions:
            get = self._driver.cuModuleGetFunction
            self._functions[name] = _checked(get, self._module, name.encode())
        values = [np.ascontiguousarray(argument) for argument in arguments]
        addresses = np.array([value.ctypes.data for value in values], np.uint64)
        _checked(
            self._driver.cuLaunchKernel, self._functions[name], *blocks, 1, THREADS, 1, 1, 0,
            stream, addresses.ctypes.data, 0,
        )  # fmt: skip

    def close(self) -> None:
        """Unload the kernels."""
        _checked(self._driver.cuModuleUnload, self._module)


def _checked(call: Callable[..., tuple[Any, ...]], *arguments: Any) -> Any:  # noqa: ANN401
    status, *results = call(*arguments)
    if int(status):
        raise RuntimeError(f"{call.__name__}: {status.name}")
    return results[0] if results else None
