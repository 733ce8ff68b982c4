"""All pictures of one latent size on the GPU: latents, tables, rows, and the launches on them."""

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from sakuga.engine.backend.base import GROUP, Array, Block, Latent, Start
from sakuga.engine.backend.cuda.calls import Calls, Key, MakeTensors, captured_rows
from sakuga.engine.backend.cuda.driver import Buffer, Driver, Launch, Stream
from sakuga.engine.backend.cuda.pool import allocate_all
from sakuga.engine.backend.cuda.session import Tensor
from sakuga.engine.backend.cuda.staging import Staging
from sakuga.engine.backend.network import Networks, dtype_of, latent_shape, row_shape
from sakuga.engine.errors import DeviceMemoryError
from sakuga.engine.manifest import TensorEntry
from sakuga.kernels.launch import (
    GIVEN,
    HISTORIES,
    ROWS,
    SEEDS,
    STEP_ROW,
    Seat,
    fill_launch,
    new_launch,
)
from sakuga.kernels.launcher import Argument, grid

_OPTIONAL = {"histories", "noises"}  # what only some samplers and noise sources need
TABLE_ROWS = 2048  # evaluations of a slot: a thousand steps of a second-order sampler
_SEED_BYTES = 8 * SEEDS


class CudaLane:
    """Buffers for `slots` pictures, and for rows of prompts of each number of chunks.

    `call_rows`: of one call of the network; more than that are several calls.
    """

    def __init__(
        self,
        driver: Driver,
        stream: Stream,
        staging: Staging,
        networks: Networks,
        unet: Calls,
        latent: tuple[int, int],
        slots: int,
        call_rows: int,
        padding: bool = True,
    ) -> None:
        self._driver, self._stream, self._staging, self._unet = driver, stream, staging, unet
        self._latent, self._slots, self.call_rows = latent, slots, call_rows
        self._padding = padding
        self._rows = max(call_rows, ROWS)  # a slot may have more rows than a call
        self._entry = networks.unet
        self._borders = (*networks.unet.inputs, *networks.unet.outputs)
        self.shape = latent_shape(latent)
        self.count = int(np.prod(self.shape))
        self._buffers: dict[str, Buffer] = {}
        self._chunks = 1  # the longest prompts that have rows here
        self._input = next(t for t in self._entry.inputs if t.name == "sample")
        self._suffix = "half" if self._input.dtype == "float16" else "float"
        try:
            self._allocate("latents", 4 * self.count * slots)
            self._allocate("tables", STEP_ROW.itemsize * TABLE_ROWS * slots)
            self._allocate("seeds", _SEED_BYTES * slots)
            for tensor in self._moving():
                self._allocate(tensor.name, self._row_bytes(tensor, 1) * self._rows)
        except Exception:
            self.close()
            raise
        self.busy: set[int] = set()
        self._sized: set[tuple[int, int]] = set()
        self._record = new_launch()
        self._steps = self._record["entries"]["step"]
        self._seated: Sequence[Seat] = ()
        self._launches: dict[tuple[str, int], Launch] = {}

    def start(self, starts: Sequence[Start]) -> None:
        """Upload tables and seeds, make first latents."""
        for start in starts:
            assert len(start.table) <= TABLE_ROWS
            self.busy.add(start.slot)
            if start.table["d"].any() or start.table["e"].any() or start.table["f"].any():
                self._allocate("histories", 4 * self.count * HISTORIES * self._slots)
            if (start.table["draw"] == GIVEN).any():
                self._allocate("noises", 4 * self.count * self._slots)
            table = self._address("tables") + STEP_ROW.itemsize * TABLE_ROWS * start.slot
            self._staging.upload(table, start.table)
            seeds = np.array(start.seeds, np.uint64)
            self._staging.upload(self._address("seeds") + _SEED_BYTES * start.slot, seeds)
            if start.noise is not None:
                self.give(start.slot, start.noise)
        seats = [Seat(start.slot, ()) for start in starts]
        self._launch("init_noise", seats, [0] * len(seats))

    def condition(self, chunks: int, row: int, inputs: Mapping[str, Array]) -> None:
        """Upload into the row."""
        self._make_room(chunks)
        for tensor in self._entry.inputs:
            if tensor.name in inputs:
                values = inputs[tensor.name].astype(dtype_of(tensor), copy=False)
                self._staging.upload(self._place(tensor, chunks, row), values)

    def seat(self, seats: Sequence[Seat], steps: Sequence[int]) -> None:
        """Next model inputs from the latents."""
        self._launch(f"model_inputs_{self._suffix}", seats, steps)

    def expect(self, seats: Sequence[Seat], steps: Sequence[int]) -> None:
        """Nothing: the kernel draws its own noise."""

    def evaluate(self, block: Block) -> None:
        """Launches of the network, padded to the rows of a captured one."""
        if block.count > self.call_rows:
            for part in block.parts(self.call_rows):
                self._evaluate_aside(part)
            return
        if (block.chunks, self.call_rows) not in self._sized:
            # The largest first, so that no smaller call has to follow an arena that moves.
            self._sized.add((block.chunks, self.call_rows))
            self._call(self._unet.prepare, block, self.call_rows)
        padded = captured_rows(block.count, self.call_rows) if self._padding else block.count
        self._call(self._unet.launch, block, padded)

    def give(self, slot: int, noise: Latent) -> None:
        """Upload it, behind the step before."""
        self._staging.upload(self._address("noises") + 4 * self.count * slot, noise)

    def step(self, seats: Sequence[Seat], steps: Sequence[int]) -> None:
        """One launch for all."""
        self._launch(f"denoise_step_{self._suffix}", seats, steps, behind=1)

    def latent(self, slot: int) -> Latent:
        """Wait for it and copy it."""
        found = self._staging.download(self.latent_address(slot), 4 * self.count)
        latent: Latent = found.view(np.float32).reshape(self.shape)
        return latent

    def latent_address(self, slot: int) -> int:
        """Where a slot's latent lies."""
        return self._address("latents") + 4 * self.count * slot

    def close(self) -> None:
        """Give the memory back; nothing may be at work on it."""
        for buffer in self._buffers.values():
            buffer.close()
        self._buffers.clear()

    def _launch(
        self, name: str, seats: Sequence[Seat], steps: Sequence[int], behind: int = 0
    ) -> None:
        """A kernel over the seats, each at row `steps + behind` of its table."""
        if seats is not self._seated:
            fill_launch(self._record, seats)
            self._seated = seats
        self._steps[: len(steps)] = steps
        if behind:
            self._steps[: len(steps)] += behind
        key = name, len(seats)
        if key not in self._launches:
            self._launches[key] = self._kernel(name, len(seats))
        self._launches[key](self._stream)

    def _kernel(self, name: str, seats: int) -> Launch:
        table: list[Argument] = [self._record, self._pointer("tables"), np.int32(TABLE_ROWS)]
        count = np.uint64(self.count)
        rows: list[Argument] = [self._pointer("sample"), self._pointer("timestep")]
        if name.startswith("model_inputs"):
            arguments = [*table, count, self._pointer("latents"), *rows]
        else:
            noise: list[Argument] = [self._pointer("seeds"), count, self._pointer("noises")]
            arguments = [*table, *noise, self._pointer("latents")]
        if name.startswith("denoise_step"):
            arguments += [self._pointer("histories"), self._pointer("noise_pred"), *rows]
        return self._driver.kernel(name, grid(self.count, seats), arguments)

    def _evaluate_aside(self, part: Block) -> None:
        """Rows in the middle of a buffer lie where TensorRT takes no tensor from (it wants
        multiples of 256 bytes), so they are copied to buffers of their own and back."""
        for tensor in self._borders:
            self._allocate(_aside(tensor, part), self._row_bytes(tensor, part.chunks) * self._rows)
        for tensor in self._entry.inputs:
            self._move(tensor, part, self._place(tensor, part.chunks, part.first), aside=True)
        self._call(self._unet.launch, part, part.count, aside=True)
        for tensor in self._entry.outputs:
            self._move(tensor, part, self._place(tensor, part.chunks, part.first), aside=False)

    def _move(self, tensor: TensorEntry, part: Block, place: int, *, aside: bool) -> None:
        here = self._address(_aside(tensor, part))
        to, from_ = (here, place) if aside else (place, here)
        size_bytes = self._row_bytes(tensor, part.chunks) * part.count
        self._driver.copy(self._stream, to, from_, size_bytes)

    def _call(
        self,
        use: Callable[[Key, MakeTensors], None],
        block: Block,
        count: int,
        *,
        aside: bool = False,
    ) -> None:
        key = (self._latent, self._chunks, block.chunks, count, aside)
        try:
            use(key, functools.partial(self._tensors, block, count, aside))
        except DeviceMemoryError as error:
            raise self._too_large(count, error) from error

    def _tensors(self, part: Block, count: int, aside: bool) -> dict[str, Tensor]:
        return {
            tensor.name: Tensor(
                self._address(_aside(tensor, part))
                if aside
                else self._place(tensor, part.chunks, part.first),
                (count, *row_shape(tensor, self._latent, part.chunks)),
                dtype_of(tensor),
                output=tensor in self._entry.outputs,
            )
            for tensor in self._borders
        }

    def _too_large(self, rows: int, error: DeviceMemoryError) -> DeviceMemoryError:
        height, width = self._latent
        size = f"{8 * width}x{8 * height}"
        return DeviceMemoryError(
            f"The GPU has too little memory free for {size} with {rows} rows in a call.",
            note=f"{error.note} {self._driver.free_bytes() / 1e6:,.0f} MB are free.",
            hint="Free memory of the GPU, or ask for a smaller size.",
        )

    def _place(self, tensor: TensorEntry, chunks: int, row: int) -> int:
        """A row's address, in a buffer of all rows or in one for its number of chunks, which is
        made when first needed."""
        row_bytes = self._row_bytes(tensor, chunks)
        if tensor in self._moving():
            return self._address(tensor.name) + row_bytes * row
        name = f"{tensor.name} {chunks}"
        self._allocate(name, row_bytes * self._rows)
        return self._address(name) + row_bytes * (row % GROUP)

    def _moving(self) -> list[TensorEntry]:
        """What kernels read and write: all its rows, whatever their prompts, in one buffer."""
        return [t for t in self._borders if t.name in {"sample", "timestep", "noise_pred"}]

    def _make_room(self, chunks: int) -> None:
        """Rows for longer prompts than there were yet, behind those of shorter ones."""
        if chunks <= self._chunks:
            return
        rows = GROUP * (chunks - 1) + self._rows
        moving = self._moving()
        try:
            sizes = [self._row_bytes(tensor, 1) * rows for tensor in moving]
            larger = allocate_all(self._driver, sizes)
        except DeviceMemoryError as error:
            raise self._too_large(self.call_rows, error) from error
        for tensor, new in zip(moving, larger, strict=True):
            old = self._buffers[tensor.name]
            self._driver.clear(self._stream, new.address, new.size_bytes)
            self._driver.copy(self._stream, new.address, old.address, old.size_bytes)
            self._buffers[tensor.name] = new
            self._stream.sync()
            old.close()
        self._chunks, self._launches = chunks, {}

    def _row_bytes(self, tensor: TensorEntry, chunks: int) -> int:
        size = int(np.prod(row_shape(tensor, self._latent, chunks)))
        return size * dtype_of(tensor).itemsize

    def _allocate(self, name: str, size_bytes: int) -> None:
        if name not in self._buffers:
            try:
                self._buffers[name] = buffer = self._driver.allocate(size_bytes)
            except DeviceMemoryError as error:
                raise self._too_large(self.call_rows, error) from error
            # Padding rows are computed too; zeros keep them ordinary numbers.
            self._driver.clear(self._stream, buffer.address, size_bytes)
            self._launches = {}  # their arguments named what is there now

    def _address(self, name: str) -> int:
        return self._buffers[name].address

    def _pointer(self, name: str) -> np.uint64:
        absent = name in _OPTIONAL and name not in self._buffers
        return np.uint64(0 if absent else self._address(name))


def _aside(tensor: TensorEntry, part: Block) -> str:
    return f"{tensor.name} aside {part.chunks}"
