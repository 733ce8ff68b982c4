"""A network on the GPU, run on arrays of the host: text encoders, once for each prompt, the VAE's
encoder, once for each picture that is read, and upscalers, once for each tile."""

from collections.abc import Callable, Mapping

import numpy as np

from sakuga.engine.backend.base import Array
from sakuga.engine.backend.cuda.calls import Calls
from sakuga.engine.backend.cuda.driver import Buffer, Driver
from sakuga.engine.backend.cuda.pool import Pool, allocate_all
from sakuga.engine.backend.cuda.session import Tensor
from sakuga.engine.backend.cuda.staging import Staging
from sakuga.engine.backend.network import Borders, Lengths, dtype_of
from sakuga.engine.errors import DeviceMemoryError

_KEPT = 8  # shape sets whose buffers are kept
_Shapes = tuple[tuple[str, tuple[int, ...]], ...]


class HostCall:
    """A `Session`: uploads, runs, waits and downloads, on the network's own stream.

    `arrive` is told before a run. Where memory is short, `make_room` is asked once to free what
    others can make again.
    """

    def __init__(
        self,
        driver: Driver,
        staging: Staging,
        calls: Calls,
        borders: Borders,
        make_room: Callable[[], None],
        arrive: Callable[[], None],
    ) -> None:
        self._driver, self._stream, self._staging = driver, calls.stream, staging
        self._calls, self._borders = calls, borders
        self._make_room, self._arrive = make_room, arrive
        self._tensors = (*borders.inputs, *borders.outputs)
        self._pinned = Pool(driver.allocate_pinned)
        self._buffers: dict[_Shapes, dict[str, Buffer]] = {}

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name. Raises DeviceMemoryError."""
        self._arrive()
        try:
            return self._run(inputs)
        except DeviceMemoryError:
            self._make_room()
        return self._run(inputs)

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        shapes = self._shapes(inputs)
        key = tuple(shapes.items())
        buffers = self._buffers_of(key)
        for tensor in self._borders.inputs:
            values = inputs[tensor.name].astype(dtype_of(tensor), copy=False)
            self._staging.upload(buffers[tensor.name].address, values)
        self._calls.launch(key, lambda: self._bound(shapes, buffers))
        return self._download(buffers, shapes)

    def forget(self) -> None:
        """Give the buffers back."""
        self._calls.forget()
        self._pinned.close()
        for buffers in self._buffers.values():
            for buffer in buffers.values():
                buffer.close()
        self._buffers.clear()

    def _buffers_of(self, key: "_Shapes") -> dict[str, Buffer]:
        if key not in self._buffers:
            if len(self._buffers) >= _KEPT:
                self.forget()
            dtypes = {tensor.name: dtype_of(tensor) for tensor in self._tensors}
            sizes = (int(np.prod(shape)) * dtypes[name].itemsize for name, shape in key)
            buffers = allocate_all(self._driver, sizes)
            self._buffers[key] = {name: b for (name, _), b in zip(key, buffers, strict=True)}
        return self._buffers[key]

    def _shapes(self, inputs: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
        lengths = Lengths()
        for tensor in self._borders.inputs:
            for dim, length in zip(tensor.dims, inputs[tensor.name].shape, strict=True):
                if isinstance(dim, str):
                    lengths[dim] = length
        lengths |= self._borders.follow(lengths)
        return {
            tensor.name: tuple(lengths[dim] if isinstance(dim, str) else dim for dim in tensor.dims)
            for tensor in self._tensors
        }

    def _bound(
        self, shapes: Mapping[str, tuple[int, ...]], buffers: Mapping[str, Buffer]
    ) -> dict[str, Tensor]:
        return {
            tensor.name: Tensor(
                buffers[tensor.name].address,
                shapes[tensor.name],
                dtype_of(tensor),
                output=tensor in self._borders.outputs,
            )
            for tensor in self._tensors
        }

    def _download(
        self, buffers: Mapping[str, Buffer], shapes: Mapping[str, tuple[int, ...]]
    ) -> dict[str, Array]:
        """All outputs, with one wait for all of them."""
        arrived = {}
        for tensor in self._borders.outputs:
            buffer = buffers[tensor.name]
            arrived[tensor.name] = pinned = self._pinned.take(buffer.size_bytes)
            self._driver.copy(self._stream, pinned.address, buffer.address, buffer.size_bytes)
        self._stream.sync()
        found: dict[str, Array] = {}
        for tensor in self._borders.outputs:
            pinned = arrived[tensor.name]
            values = pinned.bytes.view(dtype_of(tensor)).reshape(shapes[tensor.name])
            found[tensor.name] = values.copy()
            self._pinned.give(pinned)
        return found
