"""The CUDA sources compiled as C++, to be proved against their NumPy twins without a GPU."""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sakuga.kernels.host_library import host_library
from sakuga.kernels.launcher import Argument, Arguments

Run = Callable[..., None]


@pytest.fixture(scope="session")
def host() -> Any:  # noqa: ANN401 (a C library)
    """The kernels as C functions."""
    return host_library()


@pytest.fixture
def run(host: Any) -> Run:  # noqa: ANN401
    """Play a kernel: name, grid, threads, then its arguments; arrays go by address."""

    def play(name: str, blocks: tuple[int, int], threads: int, *values: Any) -> None:  # noqa: ANN401
        arguments: list[Argument] = [
            np.uint64(value.ctypes.data) if isinstance(value, np.ndarray) and value.ndim else value
            for value in values
        ]
        kept = Arguments(arguments)
        address = ctypes.c_void_p(kept.addresses.ctypes.data)
        getattr(host, f"host_{name}")(*blocks, threads, address)

    return play
