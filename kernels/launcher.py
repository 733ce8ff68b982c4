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

# A thread moves 16 bytes at once, so a slot has few threads: 7,904 at 832x1216. Small blocks spread
# them over all of a large GPU (124 blocks, 132 multiprocessors); smaller ones than two warps could
# not fill a multiprocessor, which holds 16 to 32 blocks.
THREADS = 64
_WIDTH = 8  # elements a thread takes at once
_MOST_BLOCKS = 4096  # more only take turns
# What a kernel is given: NumPy scalars and records by value, device addresses as uint64.
Argument = NDArray[Any] | np.generic


def grid(elements: int, entries: int) -> tuple[int, int]:
    """Blocks of a launch over that many elements of each entry."""
    return min(-(-elements // (_WIDTH * THREADS)), _MOST_BLOCKS), entries


class Arguments:
    """Arguments of one launch, kept where they are, so that a record among them may be changed
    between two launches. `addresses`: of each, as the driver wants them."""

    def __init__(self, values: Sequence[Argument]) -> None:
        self._values = [
            value if isinstance(value, np.ndarray) else np.array(value) for value in values
        ]
        self.addresses = np.array([value.ctypes.data for value in self._values], np.uint64)


class Kernels:
    """All kernels, compiled for an architecture such as `sm_89` when first needed, or taken from
    `folder`; loaded into the current context."""

    def __init__(self, architecture: str, folder: Path) -> None:
        self._architecture, self._folder = architecture, folder
        self._driver = cuda_package("bindings.driver")
        self._modules: dict[str, Any] = {}
        self._functions: dict[str, Any] = {}

    def prepare(
        self, name: str, blocks: tuple[int, int], arguments: Sequence[Argument]
    ) -> Callable[[int], None]:
        """A launch to be put on streams, given by handle, as often as wanted; it returns at once.

        Raises RuntimeError with CUDA's own name of what went wrong.
        """
        function, kept = self._function(name), Arguments(arguments)
        address = kept.addresses.ctypes.data
        launch = self._driver.cuLaunchKernel

        def put(stream: int, kept: Arguments = kept) -> None:
            checked(launch, function, *blocks, 1, THREADS, 1, 1, 0, stream, address, 0)

        return put

    def close(self) -> None:
        """Unload the kernels."""
        for module in self._modules.values():
            checked(self._driver.cuModuleUnload, module)
        self._modules.clear()
        self._functions.clear()

    def _function(self, name: str) -> Any:  # noqa: ANN401
        if name not in self._functions:
            source = name.removesuffix("_float").removesuffix("_half")
            if source not in self._modules:
                code = cubin(source, self._architecture, self._folder)
                self._modules[source] = checked(self._driver.cuModuleLoadData, code)
            get = self._driver.cuModuleGetFunction
            self._functions[name] = checked(get, self._modules[source], name.encode())
        return self._functions[name]


def checked(call: Callable[..., tuple[Any, ...]], *arguments: Any) -> Any:  # noqa: ANN401
    """The result of a driver call. Raises RuntimeError that names call and status."""
    status, *results = call(*arguments)
    if int(status):
        raise RuntimeError(f"{call.__name__}: {status.name}")
    return results[0] if results else None
