"""The CPU device: NumPy arrays, the kernels' NumPy twins, noise drawn ahead on a thread."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import Protocol

import numpy as np

from sakuga.engine.backend.base import (
    GROUP,
    Array,
    Block,
    Decoded,
    Image,
    Latent,
    Moments,
    Pixels,
    Session,
    Start,
)
from sakuga.engine.backend.network import Networks, dtype_of, image_latent, latent_shape, row_shape
from sakuga.engine.backend.onnxruntime import OnnxSession, onnxruntime_library
from sakuga.engine.backend.rows import CheckedRows
from sakuga.engine.backend.tiled_vae import decode, encode
from sakuga.engine.backend.vae_calls import PROCESSOR, tile_for
from sakuga.engine.upscaler_folder import UpscalerFolder
from sakuga.kernels.denoise_step import SCRATCH, denoise_step
from sakuga.kernels.guide import Guide, held
from sakuga.kernels.init_noise import init_noise
from sakuga.kernels.launch import GIVEN, HISTORIES, Records, Seat, coefficients_of, hold_of
from sakuga.kernels.model_inputs import model_inputs
from sakuga.kernels.philox import normals
from sakuga.kernels.preview import Foresight, preview
from sakuga.kernels.to_rgb8 import Rounding, to_rgb8
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import LATENT_CHANNELS, VAE_FACTOR

_Draw = tuple[int, int]  # seed, number of the draw
_Arrays = dict[str, Array]


class Sessions(Protocol):
    """The networks of a bundle."""

    def __call__(self, name: str) -> Session:
        """The loaded network of a name."""
        ...

    def close(self) -> None:
        """Let go of all."""
        ...


class CpuDevice:
    """Latents in ordinary memory; `sessions` gives the loaded network of a name. `slots`: pictures
    of one size that are worked on at once; `threads`: of upscalers, None for all cores."""

    sizes = None
    residency = ""
    turn_s = 0.0

    def __init__(
        self, networks: Networks, sessions: Sessions, slots: int = 1, threads: int | None = None
    ) -> None:
        self.slots, self.rows, self._threads = slots, networks.max_rows, threads
        self._networks, self._sessions = networks, sessions
        self._lanes: dict[tuple[int, int], CpuLane] = {}
        self._noise_thread = ThreadPoolExecutor(1, "sakuga-noise")

    @property
    def name(self) -> str:
        """What computes: the library, for the kernels' twins give the same bits everywhere."""
        return f"onnxruntime {onnxruntime_library().__version__} cpu"

    def network(self, name: str) -> Session:
        """A network, once it is loaded."""
        return self._sessions(name)

    def upscaler(self, folder: UpscalerFolder) -> Session:
        """Its network in float32: a processor gains nothing from less."""
        return OnnxSession(folder.graph("float32"), self._threads)

    def lane(self, latent: tuple[int, int]) -> "CpuLane":
        """The lane of one latent size."""
        if latent not in self._lanes:
            self._lanes[latent] = CpuLane(
                latent, self._networks, self.slots, self._unet, self._noise_thread
            )
        return self._lanes[latent]

    @cached_property
    def _unet(self) -> Session:
        unet = self.network("unet")
        return CheckedRows(unet) if self.slots > 1 else unet

    def decode(self, latent: tuple[int, int], slot: int, rounding: Rounding) -> Future[Decoded]:
        """Decode at once, on the calling thread."""
        found: Future[Decoded] = Future()
        values = self.lane(latent).latent(slot)
        scaled = np.empty_like(values)
        model_inputs(values, self._networks.decode_scale, scaled[None])
        tile = tile_for(self._networks.entries["vae_decoder"], latent, room=PROCESSOR)
        image = decode(scaled, self.network("vae_decoder"), tile)
        pixels = to_rgb8(image, rounding)
        window = None if tile == latent else Size(VAE_FACTOR * tile[1], VAE_FACTOR * tile[0])
        found.set_result(Decoded(pixels, values, bool(np.isfinite(image).all()), window))
        return found

    def encode(self, image: Image) -> Moments:
        """The latent of one picture. Raises SizeError."""
        latent = image_latent(image)
        tile = tile_for(self._networks.entries["vae_encoder"], latent, room=PROCESSOR)
        return encode(image, self.network("vae_encoder"), tile)

    def leave(self, latent: tuple[int, int], slot: int) -> None:
        """Drop the lane with its last picture."""
        if latent in self._lanes and self._lanes[latent].leave(slot):
            del self._lanes[latent]

    def flush(self) -> None:
        """Nothing waits."""

    def pace(self) -> None:
        """The processor is never behind."""

    def shrink(self) -> int:
        """Nothing to give back."""
        return 0

    def close(self) -> None:
        """Stop the noise thread, let go of the networks."""
        self._noise_thread.shutdown(cancel_futures=True)
        self._sessions.close()


class CpuLane:
    """The slots of one latent size."""

    def __init__(
        self,
        latent: tuple[int, int],
        networks: Networks,
        slots: int,
        unet: Session,
        noise_thread: ThreadPoolExecutor,
    ) -> None:
        shape = latent_shape(latent)
        self._latent, self._entry, self._unet = latent, networks.unet, unet
        self._colours = networks.colours
        self._rows = networks.max_rows
        self._count = int(np.prod(shape))
        self._latents = np.zeros((slots, *shape), np.float32)
        self._histories = np.zeros((slots, HISTORIES, *shape), np.float32)
        self._given: dict[int, Latent] = {}
        self._guides: dict[int, Guide] = {}
        self._tables: dict[int, Records] = {}
        self._seeds: dict[int, tuple[int, int]] = {}
        self._inputs: dict[int, _Arrays] = {}  # by number of chunks
        self._outputs: dict[int, Array] = {}
        self._scratch = np.empty((SCRATCH, *shape), np.float32)
        self._noise_thread = noise_thread
        self._ahead: dict[_Draw, Future[Latent]] = {}

    def start(self, starts: Sequence[Start]) -> None:
        """First latents; the tables of all evaluations."""
        for start in starts:
            self._tables[start.slot], self._seeds[start.slot] = start.table, start.seeds
            first = start.table[0]
            noise = self._noise((start.seeds[0], 0)) if start.noise is None else start.noise
            picture = None if start.guide is None else start.guide.picture
            latent = self._latents[start.slot]
            init_noise(noise, float(first["a"]), latent, picture, float(first["b"]))
            if start.guide is not None:
                self._guides[start.slot] = start.guide

    def condition(self, chunks: int, row: int, inputs: Mapping[str, Array]) -> None:
        """Copy into the row."""
        arrays = self._group(chunks)
        for name, values in inputs.items():
            # Of the latent's channels only those behind it are told: the steps write it.
            arrays[name][row % GROUP][-len(values) :] = values

    def seat(self, seats: Sequence[Seat], steps: Sequence[int]) -> None:
        """Next model inputs from the latents."""
        for seat, step in zip(seats, steps, strict=True):
            row = self._tables[seat.slot][step]
            latent, guide = self._latents[seat.slot], self._guides.get(seat.slot)
            if guide is not None:
                latent = held(latent, guide, hold_of(row).shown)
            model_inputs(latent, float(row["c_in"]), self._samples(seat))
            self._set_timesteps(seat, float(row["timestep"]))

    def expect(self, seats: Sequence[Seat], steps: Sequence[int]) -> None:
        """Begin to draw the noise these steps will add, while the network runs."""
        for seat, step in zip(seats, steps, strict=True):
            key = self._draw_of(seat.slot, step + 1)
            if key is not None and key not in self._ahead:
                self._ahead[key] = self._noise_thread.submit(self._normals, key)

    def evaluate(self, block: Block) -> None:
        """Calls of the network on views of the rows."""
        arrays = self._group(block.chunks)
        for part in block.parts(self._rows):
            first = part.first % GROUP
            rows = slice(first, first + part.count)
            outputs = self._unet.run({name: array[rows] for name, array in arrays.items()})
            self._outputs[part.chunks][rows] = outputs["noise_pred"]

    def give(self, slot: int, noise: Latent) -> None:
        """Keep it until the step."""
        self._given[slot] = noise

    def foresee(self, seat: Seat, step: int, a: float, b: float) -> Future[Pixels]:
        """At once."""
        weights = self._tables[seat.slot][step + 1]["weights"][: len(seat.rows)].tolist()
        latent, outputs = self._latents[seat.slot], self._outputs_of(seat)
        found: Future[Pixels] = Future()
        found.set_result(preview(latent, outputs, weights, Foresight(a, b), self._colours))
        return found

    def step(self, seats: Sequence[Seat], steps: Sequence[int]) -> None:
        """Advance every slot given."""
        for seat, step in zip(seats, steps, strict=True):
            row = self._tables[seat.slot][step + 1]
            denoise_step(
                self._latents[seat.slot],
                self._histories[seat.slot],
                self._outputs_of(seat),
                row["weights"][: len(seat.rows)].tolist(),
                coefficients_of(row),
                self._step_noise(seat.slot, step + 1),
                self._samples(seat),
                self._scratch,
                self._guides.get(seat.slot),
                hold_of(row),
            )
            self._set_timesteps(seat, float(row["timestep"]))
        self._ahead.clear()  # what was expected and did not come

    def leave(self, slot: int) -> bool:
        """Forget a slot; whether it was the last."""
        self._tables.pop(slot, None)
        self._given.pop(slot, None)
        self._guides.pop(slot, None)
        return not self._tables

    def latent(self, slot: int) -> Latent:
        """A copy of a slot's latent."""
        latent: Latent = self._latents[slot].copy()
        return latent

    def _group(self, chunks: int) -> _Arrays:
        """The network's inputs for prompts of `chunks`, made when first needed."""
        if chunks not in self._inputs:
            self._inputs[chunks] = {
                tensor.name: np.zeros(
                    (GROUP, *row_shape(tensor, self._latent, chunks)), dtype_of(tensor)
                )
                for tensor in self._entry.inputs
            }
            sample = self._inputs[chunks]["sample"]
            self._outputs[chunks] = np.zeros_like(sample[:, :LATENT_CHANNELS])
        return self._inputs[chunks]

    def _outputs_of(self, seat: Seat) -> list[Array]:
        return [self._outputs[1 + at // GROUP][at % GROUP] for at in seat.rows]

    def _samples(self, seat: Seat) -> list[Array]:
        rows = (divmod(row, GROUP) for row in seat.rows)
        return [self._group(1 + group)["sample"][at, :LATENT_CHANNELS] for group, at in rows]

    def _set_timesteps(self, seat: Seat, timestep: float) -> None:
        for row in seat.rows:
            group, at = divmod(row, GROUP)
            self._group(1 + group)["timestep"][at] = timestep

    def _draw_of(self, slot: int, step: int) -> _Draw | None:
        """Which noise the step adds; None where none, or where it is given."""
        row = self._tables[slot][step]
        if row["c"] == 0 or row["draw"] == GIVEN:
            return None
        return self._seeds[slot][1], int(row["draw"])

    def _step_noise(self, slot: int, step: int) -> Latent | None:
        key = self._draw_of(slot, step)
        return self._given.pop(slot, None) if key is None else self._noise(key)

    def _noise(self, key: _Draw) -> Latent:
        ahead = self._ahead.get(key)
        return self._normals(key) if ahead is None else ahead.result()

    def _normals(self, key: _Draw) -> Latent:
        return normals(*key, self._count).reshape(self._latents.shape[1:])
