"""The memory of a lane: buffers by name, made when first needed, cleared, and closed together."""

import numpy as np

from sakuga.engine.backend.base import GROUP, Block
from sakuga.engine.backend.cuda.driver import Buffer, Driver, Stream
from sakuga.engine.backend.cuda.pool import allocate_all
from sakuga.engine.backend.cuda.session import Tensor
from sakuga.engine.backend.network import Networks, dtype_of, row_shape
from sakuga.engine.errors import DeviceMemoryError
from sakuga.engine.manifest import TensorEntry

_KERNELS_USE = {"sample", "timestep", "noise_pred"}
_OPTIONAL = {"guides", "histories", "noises"}  # what only some pictures need


class LaneMemory:
    """For `rows` rows of prompts of each number of chunks; what kernels read and write of them,
    whatever their prompts, lies in one buffer.

    `generation` counts what was made or has moved: a launch that named addresses before is of no
    use.
    """

    def __init__(
        self, driver: Driver, stream: Stream, networks: Networks, latent: tuple[int, int], rows: int
    ) -> None:
        self._driver, self._stream, self._latent, self._rows = driver, stream, latent, rows
        self._inputs, self._outputs = networks.unet.inputs, networks.unet.outputs
        self._buffers: dict[str, Buffer] = {}
        self.generation = 0
        self.chunks = 1  # of the longest prompts that have rows here

    def allocate_rows(self) -> None:
        """Have the rows of prompts of one chunk. Raises DeviceMemoryError."""
        for tensor in self._used_by_kernels():
            self.allocate(tensor.name, self.row_bytes(tensor, 1) * self._rows)

    def allocate(self, name: str, size_bytes: int) -> None:
        """Have a buffer of this name. Raises DeviceMemoryError."""
        if name in self._buffers:
            return
        try:
            self._buffers[name] = buffer = self._driver.allocate(size_bytes)
        except DeviceMemoryError as error:
            raise self.too_large(error) from error
        # Padding rows are computed too; zeros keep them ordinary numbers.
        self._driver.clear(self._stream, buffer.address, size_bytes)
        self.generation += 1

    def address(self, name: str) -> int:
        """Where a buffer lies."""
        return self._buffers[name].address

    def pointer(self, name: str) -> np.uint64:
        """The same as the argument of a launch; 0 of what nothing has needed yet."""
        absent = name in _OPTIONAL and name not in self._buffers
        return np.uint64(0 if absent else self.address(name))

    def place(self, tensor: TensorEntry, chunks: int, row: int) -> int:
        """The address of a tensor's row, of a prompt of so many chunks."""
        row_bytes = self.row_bytes(tensor, chunks)
        if tensor.name in _KERNELS_USE:
            return self.address(tensor.name) + row_bytes * row
        name = f"{tensor.name} {chunks}"
        self.allocate(name, row_bytes * self._rows)
        return self.address(name) + row_bytes * (row % GROUP)

    def place_aside(self, tensor: TensorEntry, chunks: int) -> int:
        """The address of a buffer that holds these rows for a call that needs them elsewhere."""
        name = f"{tensor.name} aside {chunks}"
        self.allocate(name, self.row_bytes(tensor, chunks) * self._rows)
        return self.address(name)

    def tensors(self, part: Block, count: int, aside: bool) -> dict[str, Tensor]:
        """What a call of `count` rows works on, from the part's first on."""
        return {
            tensor.name: Tensor(
                self.place_aside(tensor, part.chunks)
                if aside
                else self.place(tensor, part.chunks, part.first),
                (count, *row_shape(tensor, self._latent, part.chunks)),
                dtype_of(tensor),
                output=tensor in self._outputs,
            )
            for tensor in (*self._inputs, *self._outputs)
        }

    def make_room(self, chunks: int) -> None:
        """Rows for longer prompts than there were yet, behind those of shorter ones."""
        if chunks <= self.chunks:
            return
        rows, moving = GROUP * (chunks - 1) + self._rows, self._used_by_kernels()
        try:
            sizes = [self.row_bytes(tensor, 1) * rows for tensor in moving]
            larger = allocate_all(self._driver, sizes)
        except DeviceMemoryError as error:
            raise self.too_large(error) from error
        for tensor, new in zip(moving, larger, strict=True):
            old = self._buffers[tensor.name]
            self._driver.clear(self._stream, new.address, new.size_bytes)
            self._driver.copy(self._stream, new.address, old.address, old.size_bytes)
            self._buffers[tensor.name] = new
            self._stream.sync()
            old.close()
        self.chunks = chunks
        self.generation += 1

    def row_bytes(self, tensor: TensorEntry, chunks: int) -> int:
        """Of one row of a tensor."""
        size = int(np.prod(row_shape(tensor, self._latent, chunks)))
        return size * dtype_of(tensor).itemsize

    def too_large(
        self, error: DeviceMemoryError, what: str = "", hint: str = "ask for a smaller size"
    ) -> DeviceMemoryError:
        """Memory that ran out, in the words of pictures: `what` besides their size needs it, and
        what helps besides free memory."""
        height, width = self._latent
        size = f"{8 * width}x{8 * height}"
        return DeviceMemoryError(
            f"The GPU has too little memory free for {size}{what}.",
            note=f"{error.note} {self._driver.free_bytes() / 1e6:,.0f} MB are free.",
            hint=f"Free memory of the GPU, or {hint}.",
        )

    def close(self) -> None:
        """Give the memory back; nothing may be at work on it."""
        for buffer in self._buffers.values():
            buffer.close()
        self._buffers.clear()

    def _used_by_kernels(self) -> list[TensorEntry]:
        return [t for t in (*self._inputs, *self._outputs) if t.name in _KERNELS_USE]
