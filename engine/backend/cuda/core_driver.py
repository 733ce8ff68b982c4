"""A GPU through NVIDIA's `cuda.core`."""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.backend.cuda.driver import (
    Buffer,
    Event,
    Graph,
    Launch,
    NotCapturedError,
    PinnedBuffer,
    Stream,
)
from sakuga.engine.errors import (
    DeviceMemoryError,
    EngineFault,
    MissingDependencyError,
    install_hint,
)
from sakuga.engine.gpu import Gpu
from sakuga.engine.platform import cache_folder
from sakuga.kernels.cuda_packages import cuda_package
from sakuga.kernels.launcher import Argument, Kernels, checked

_OUT_OF_MEMORY = "OUT_OF_MEMORY"


class CoreDriver:
    """The first GPU, made current on the calling thread."""

    def __init__(self, gpu: Gpu) -> None:
        try:
            self._core = core = cuda_package("core")
            self._driver = cuda_package("bindings.driver")
        except ImportError as error:
            raise MissingDependencyError(
                "Rendering on the GPU needs NVIDIA's package cuda-core.",
                note=f"{error}.",
                hint=install_hint("cuda"),
            ) from error
        self.name = gpu.name
        with translated():
            self._device = core.Device(0)
            self._device.set_current()
            self._pinned = core.LegacyPinnedMemoryResource()
            self._options = core.EventOptions(timing_enabled=False, blocking_sync=True)
        self._kernels = Kernels(gpu.capability.replace("sm", "sm_"), cache_folder() / "kernels")

    def allocate(self, size_bytes: int) -> Buffer:
        """Plain memory: what is given back can be had by TensorRT at once, which memory of a
        stream-ordered pool cannot. It may wait for the GPU, so nothing asks for any in a step."""
        with translated(size_bytes):
            address = checked(self._driver.cuMemAlloc, max(size_bytes, 1))
        return _Memory(self._driver, int(address), size_bytes)

    def allocate_pinned(self, size_bytes: int) -> PinnedBuffer:
        """Page-locked host memory."""
        with translated(size_bytes):
            return _Pinned(self._pinned.allocate(size_bytes), size_bytes)

    def create_stream(self) -> Stream:
        """A stream that does not wait for the default one."""
        with translated():
            return _Stream(self._device.create_stream(), self._options)

    def copy(self, stream: Stream, to: int, from_: int, size_bytes: int) -> None:
        """Unified addressing tells the driver the direction."""
        with translated():
            checked(self._driver.cuMemcpyAsync, to, from_, size_bytes, stream.handle)

    def clear(self, stream: Stream, address: int, size_bytes: int) -> None:
        """Zeros."""
        with translated():
            checked(self._driver.cuMemsetD8Async, address, 0, size_bytes, stream.handle)

    def kernel(self, name: str, blocks: tuple[int, int], arguments: Sequence[Argument]) -> Launch:
        """Compiled for this GPU when first asked for."""
        with translated():
            put = self._kernels.prepare(name, blocks, arguments)

        def launch(stream: Stream) -> None:
            try:
                put(stream.handle)
            except RuntimeError as error:
                raise _meant(error, None) from error

        return launch

    def capture(self, stream: Stream, work: Callable[[], None]) -> Graph:
        """By stream capture; instantiated and uploaded."""
        assert isinstance(stream, _Stream)
        with translated():
            builder = stream.core.create_graph_builder().begin_building("thread_local")
        try:
            work()
            options = self._core.graph.GraphCompleteOptions(upload_stream=stream.core)
            return _Graph(builder.end_building().complete(options))
        except Exception as error:  # the stream takes plain work again once building has ended
            with suppress(Exception):
                builder.end_building()
            raise NotCapturedError(str(error)) from error
        finally:
            builder.close()

    def attach(self) -> None:
        """A device object of the thread's own."""
        with translated():
            self._core.Device(0).set_current()

    def free_bytes(self) -> int:
        """What the driver says, which other processes change."""
        with translated():
            return int(checked(self._driver.cuMemGetInfo))

    def close(self) -> None:
        """Unload the kernels; buffers, streams and graphs are closed by whoever made them."""
        with translated():
            self._device.sync()
            self._kernels.close()


class _Memory:
    def __init__(self, driver: Any, address: int, size_bytes: int) -> None:  # noqa: ANN401
        self._driver, self.address, self.size_bytes = driver, address, size_bytes

    def close(self) -> None:
        if self._driver is not None:
            with translated():
                checked(self._driver.cuMemFree, self.address)
            self._driver = None


class _Pinned:
    def __init__(self, buffer: Any, size_bytes: int) -> None:  # noqa: ANN401
        self._buffer, self.size_bytes, self.address = buffer, size_bytes, int(buffer.handle)
        memory = (ctypes.c_uint8 * size_bytes).from_address(self.address)
        self.bytes: NDArray[np.uint8] = np.frombuffer(memoryview(memory), np.uint8)

    def close(self) -> None:
        self._buffer.close()


class _Event:
    def __init__(self, event: Any) -> None:  # noqa: ANN401
        self.core = event

    def sync(self) -> None:
        with translated():
            self.core.sync()


class _Stream:
    def __init__(self, stream: Any, options: Any) -> None:  # noqa: ANN401
        self.core, self._options = stream, options
        self.handle = int(stream.handle)

    def record(self) -> Event:
        with translated():
            return _Event(self.core.record(options=self._options))

    def wait(self, event: Event) -> None:
        assert isinstance(event, _Event)
        with translated():
            self.core.wait(event.core)

    def sync(self) -> None:
        with translated():
            self.core.sync()


class _Graph:
    def __init__(self, graph: Any) -> None:  # noqa: ANN401
        self._graph = graph

    def launch(self, stream: Stream) -> None:
        assert isinstance(stream, _Stream)
        with translated():
            self._graph.launch(stream.core)

    def close(self) -> None:
        self._graph.close()


@contextmanager
def translated(size_bytes: int | None = None) -> Iterator[None]:
    """CUDA's errors as ours; `size_bytes`: of the memory asked for."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        raise _meant(error, size_bytes) from error
    except Exception as error:
        if type(error).__name__ != "CUDAError":  # cuda.core's own class, which it does not export
            raise
        raise _meant(error, size_bytes) from error


def _meant(error: Exception, size_bytes: int | None) -> DeviceMemoryError | EngineFault:
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY in str(error):
        asked = f"{size_bytes / 1e6:,.0f} MB were asked for. " if size_bytes else ""
        return DeviceMemoryError(
            "The GPU has too little memory free.",
            note=f"{asked}CUDA says: {error}.",
            hint="Close other programs that use the GPU, or render fewer or smaller pictures.",
        )
    return EngineFault(
        "The GPU no longer answers.",
        note=f"CUDA says: {error}.",
        hint="Start the process again; if it happens again, run `sakuga doctor`.",
    )
