"""All pictures of one latent size on the GPU: latents, tables, rows, and the launches on them."""

import functools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future

import numpy as np

from sakuga.engine.backend.base import Array, Block, Latent, Pixels, Start
from sakuga.engine.backend.cuda.calls import Calls, Key, MakeTensors, Padding, padded_rows
from sakuga.engine.backend.cuda.driver import Driver, Launch, Stream
from sakuga.engine.backend.cuda.lane_memory import LaneMemory
from sakuga.engine.backend.cuda.previews import Previews
from sakuga.engine.backend.cuda.staging import Staging
from sakuga.engine.backend.network import Networks, dtype_of, latent_shape, row_shape
from sakuga.engine.errors import DeviceMemoryError
from sakuga.engine.manifest import TensorEntry
from sakuga.kernels.guide import Guide
from sakuga.kernels.launch import (
    FORESIGHT,
    GIVEN,
    GUIDES,
    HISTORIES,
    ROWS,
    SEEDS,
    STEP_ROW,
    Seat,
    colours_record,
    fill_launch,
    new_launch,
)
from sakuga.kernels.launcher import Argument, grid

TABLE_ROWS = 2048  # evaluations of a slot: a thousand steps of a second-order sampler
_SEED_BYTES = 8 * SEEDS
_FEWER = "open the engine without `deterministic`, which may then go on with fewer rows"


class CudaLane:
    """Buffers for `slots` pictures, and for rows of prompts of each number of chunks.

    `call_rows`: of one call of the network; more than that are several calls.
    """

    def __init__(
        self,
        driver: Driver,
        stream: Stream,
        staging: Staging,
        previews: Previews,
        networks: Networks,
        unet: Calls,
        latent: tuple[int, int],
        slots: int,
        call_rows: int,
        padding: Padding,
    ) -> None:
        self._driver, self._stream, self._staging, self._unet = driver, stream, staging, unet
        self._previews, self._colours = previews, colours_record(networks.colours)
        self._latent, self._slots, self.call_rows = latent, slots, call_rows
        self._padding: Padding = padding
        self._entry = networks.unet
        self.shape = latent_shape(latent)
        self.count = int(np.prod(self.shape))
        sample = next(t for t in self._entry.inputs if t.name == "sample")
        self._suffix = "half" if sample.dtype == "float16" else "float"
        self._pitch = int(np.prod(row_shape(sample, latent)))  # of one row of the input
        rows = max(call_rows, ROWS)  # a slot may have more rows than a call
        self._memory = LaneMemory(driver, stream, networks, latent, rows)
        try:
            self._memory.allocate_rows()
            self._memory.allocate("latents", 4 * self.count * slots)
            self._memory.allocate("tables", STEP_ROW.itemsize * TABLE_ROWS * slots)
            self._memory.allocate("seeds", _SEED_BYTES * slots)
        except Exception:
            self.close()
            raise
        self.busy: set[int] = set()
        self._sized: set[tuple[int, int]] = set()
        self._record = new_launch()
        self._steps = self._record["entries"]["step"]
        self._foresight = np.zeros((), FORESIGHT)
        self._seated: Sequence[Seat] = ()
        self._launches: dict[tuple[str, int], Launch] = {}
        self._generation = 0  # of the memory that launches name

    def start(self, starts: Sequence[Start]) -> None:
        """Upload tables and seeds, make first latents."""
        for start in starts:
            assert len(start.table) <= TABLE_ROWS
            self.busy.add(start.slot)
            if start.table["d"].any() or start.table["e"].any() or start.table["f"].any():
                self._memory.allocate("histories", 4 * self.count * HISTORIES * self._slots)
            if (start.table["draw"] == GIVEN).any():
                self._memory.allocate("noises", 4 * self.count * self._slots)
            if start.guide is not None:
                self._guide(start.slot, start.guide)
            table = self._memory.address("tables") + STEP_ROW.itemsize * TABLE_ROWS * start.slot
            self._staging.upload(table, start.table)
            seeds = np.array(start.seeds, np.uint64)
            self._staging.upload(self._memory.address("seeds") + _SEED_BYTES * start.slot, seeds)
            if start.noise is not None:
                self.give(start.slot, start.noise)
        seats = [Seat(start.slot, ()) for start in starts]
        self._launch("init_noise", seats, [0] * len(seats))

    def _guide(self, slot: int, guide: Guide) -> None:
        """Upload what a slot is held to."""
        size = 4 * self.count
        self._memory.allocate("guides", size * GUIDES * self._slots)
        at = self._memory.address("guides") + size * GUIDES * slot
        for place, values in enumerate(guide):
            if values is not None:
                self._staging.upload(at + size * place, values)

    def condition(self, chunks: int, row: int, inputs: Mapping[str, Array]) -> None:
        """Upload into the row."""
        self._memory.make_room(chunks)
        for tensor in self._entry.inputs:
            if tensor.name in inputs:
                values = inputs[tensor.name].astype(dtype_of(tensor), copy=False)
                end = self._memory.place(tensor, chunks, row) + self._memory.row_bytes(
                    tensor, chunks
                )
                # Of the latent's channels only those behind it are told: the steps write it.
                self._staging.upload(end - values.nbytes, values)

    def seat(self, seats: Sequence[Seat], steps: Sequence[int]) -> None:
        """Next model inputs from the latents."""
        self._launch(f"model_inputs_{self._suffix}", seats, steps)

    def expect(self, seats: Sequence[Seat], steps: Sequence[int]) -> None:
        """Nothing: the kernel draws its own noise."""

    def evaluate(self, block: Block) -> None:
        """Launches of the network, padded as the options say."""
        if block.count > self.call_rows:
            for part in block.parts(self.call_rows):
                self._evaluate_aside(part)
            return
        if (block.chunks, self.call_rows) not in self._sized:
            # The largest first, so that no smaller call has to follow an arena that moves.
            self._sized.add((block.chunks, self.call_rows))
            self._call(self._unet.prepare, block, self.call_rows)
        self._call(self._unet.launch, block, self._padded(block))

    def give(self, slot: int, noise: Latent) -> None:
        """Upload it, behind the step before."""
        self._staging.upload(self._memory.address("noises") + 4 * self.count * slot, noise)

    def foresee(self, seat: Seat, step: int, a: float, b: float) -> Future[Pixels]:
        """One more launch before the step's. For want of memory only the preview fails."""
        try:
            self._memory.allocate("pixels", 3 * self.count // 4)
            self._foresight[()] = a, b
            self._launch(f"preview_{self._suffix}", [seat], [step], behind=1)
            return self._previews.send(self._memory.address("pixels"), self._latent)
        except DeviceMemoryError as error:
            failed: Future[Pixels] = Future()
            failed.set_exception(error)
            return failed

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
        return self._memory.address("latents") + 4 * self.count * slot

    def close(self) -> None:
        """Give the memory back; nothing may be at work on it."""
        self._memory.close()

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
        if self._generation != self._memory.generation:
            self._generation, self._launches = self._memory.generation, {}
        key = name, len(seats)
        if key not in self._launches:
            self._launches[key] = self._kernel(name, len(seats))
        self._launches[key](self._stream)

    def _kernel(self, name: str, seats: int) -> Launch:
        at = self._memory.pointer
        table: list[Argument] = [self._record, at("tables"), np.int32(TABLE_ROWS)]
        count, pitch, elements = np.uint64(self.count), np.uint64(self._pitch), self.count
        rows: list[Argument] = [at("sample"), at("timestep")]
        if name.startswith("model_inputs"):
            arguments = [*table, count, pitch, at("guides"), at("latents"), *rows]
        elif name.startswith("preview"):
            arguments = [*table, self._foresight, self._colours, np.uint64(self.count // 4)]
            arguments += [at("latents"), at("noise_pred"), at("pixels")]
            elements *= 2  # a thread for each pixel: eight elements to a thread, four to a pixel
        else:
            between = [pitch] if name.startswith("denoise_step") else []
            arguments = [*table, at("seeds"), count, *between]
            arguments += [at("noises"), at("guides"), at("latents")]
        if name.startswith("denoise_step"):
            arguments += [at("histories"), at("noise_pred"), *rows]
        return self._driver.kernel(name, grid(elements, seats), arguments)

    def _evaluate_aside(self, part: Block) -> None:
        """Rows in the middle of a buffer lie where TensorRT takes no tensor from (it wants
        multiples of 256 bytes), so they are copied to buffers of their own and back."""
        for tensor in self._entry.inputs:
            self._move(tensor, part, aside=True)
        self._call(self._unet.launch, part, self._padded(part), aside=True)
        for tensor in self._entry.outputs:
            self._move(tensor, part, aside=False)

    def _padded(self, part: Block) -> int:
        return padded_rows(part.count, self.call_rows, self._padding)

    def _move(self, tensor: TensorEntry, part: Block, *, aside: bool) -> None:
        here = self._memory.place_aside(tensor, part.chunks)
        place = self._memory.place(tensor, part.chunks, part.first)
        to, from_ = (here, place) if aside else (place, here)
        size_bytes = self._memory.row_bytes(tensor, part.chunks) * part.count
        self._driver.copy(self._stream, to, from_, size_bytes)

    def _call(
        self,
        use: Callable[[Key, MakeTensors], None],
        block: Block,
        count: int,
        *,
        aside: bool = False,
    ) -> None:
        key = (self._latent, self._memory.chunks, block.chunks, count, aside)
        try:
            use(key, functools.partial(self._memory.tensors, block, count, aside))
        except DeviceMemoryError as error:
            what = f" with {count} rows in a call"
            if self._padding == "full":
                raise self._memory.too_large(error, what, _FEWER) from error
            raise self._memory.too_large(error, what) from error
