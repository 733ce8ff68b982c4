"""The CPU device: NumPy arrays, the kernels' NumPy twins, noise drawn ahead on a thread."""

import itertools
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.backend.base import MAX_HISTORIES, ROWS_PER_SLOT, Array, Start, Step
from sakuga.kernels.denoise_step import SCRATCH, Latent, denoise_step
from sakuga.kernels.init_noise import init_noise
from sakuga.kernels.philox import normals
from sakuga.kernels.to_rgb8 import Rounding, to_rgb8
from sakuga.profiles.families import LATENT_CHANNELS

_Draw = tuple[int, int]  # seed, number of the draw


class CpuDevice:
    """Latents in ordinary memory."""

    name = "cpu"

    def __init__(self) -> None:
        self._noise_thread = ThreadPoolExecutor(1, "sakuga-noise")

    def lane(self, latent: tuple[int, int], slots: int, dtype: np.dtype[Any]) -> "CpuLane":
        """Buffers for `slots` pictures."""
        return CpuLane((LATENT_CHANNELS, *latent), slots, dtype, self._noise_thread)

    def to_rgb8(self, image: Array, rounding: Rounding) -> NDArray[np.uint8]:
        """Pictures to bytes."""
        return to_rgb8(image, rounding)

    def close(self) -> None:
        """Stop the noise thread."""
        self._noise_thread.shutdown(cancel_futures=True)


class CpuLane:
    """The slots of one latent size."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        slots: int,
        dtype: np.dtype[Any],
        noise_thread: ThreadPoolExecutor,
    ) -> None:
        self._latents = np.zeros((slots, *shape), np.float32)
        self._histories = np.zeros((slots, MAX_HISTORIES, *shape), np.float32)
        self._model_inputs = np.zeros((slots * ROWS_PER_SLOT, *shape), dtype)
        self._outputs = np.zeros((slots * ROWS_PER_SLOT, *shape), dtype)
        self._scratch = np.empty((SCRATCH, *shape), np.float32)
        self._noise_thread = noise_thread
        self._ahead: dict[_Draw, Future[Latent]] = {}

    @property
    def slots(self) -> int:
        """How many pictures fit."""
        return len(self._latents)

    def start(self, starts: Sequence[Start]) -> None:
        """First latents and first model inputs."""
        for start in starts:
            latent = self._latents[start.slot]
            inputs = [self._model_inputs[row] for row in start.rows]
            init_noise(self._draw((start.seed, 0)), start.scale, start.c_in, latent, inputs)

    def model_inputs(self, rows: Sequence[int]) -> Array:
        """The next model input of these rows; a view where they lie together."""
        return self._model_inputs[_index(rows)]

    def set_outputs(self, rows: Sequence[int], outputs: Array) -> None:
        """Keep the network's output of these rows until the step."""
        self._outputs[_index(rows)] = outputs

    def draw_ahead(self, steps: Sequence[Step]) -> None:
        """Begin to draw the noise these steps will add, while the network runs."""
        for key in {(step.seed, step.draw) for step in steps if step.draw}:
            self._ahead[key] = self._noise_thread.submit(self._normals, key)

    def step(self, steps: Sequence[Step]) -> None:
        """Advance every slot given."""
        noises = {key: self._draw(key) for key in {(s.seed, s.draw) for s in steps if s.draw}}
        for step in steps:
            denoise_step(
                self._latents[step.slot],
                self._histories[step.slot, : len(step.coefficients.d)],
                [self._outputs[row] for row in step.rows],
                step.weights,
                step.coefficients,
                noises.get((step.seed, step.draw)),
                [self._model_inputs[row] for row in step.rows],
                self._scratch,
            )

    def latent(self, slot: int) -> NDArray[np.float32]:
        """A copy of a slot's latent."""
        latent: Latent = self._latents[slot].copy()
        return latent

    def _draw(self, key: _Draw) -> Latent:
        ahead = self._ahead.pop(key, None)
        return self._normals(key) if ahead is None else ahead.result()

    def _normals(self, key: _Draw) -> Latent:
        shape = self._latents.shape[1:]
        return normals(*key, int(np.prod(shape))).reshape(shape)


def _index(rows: Sequence[int]) -> slice | list[int]:
    together = all(after == before + 1 for before, after in itertools.pairwise(rows))
    return slice(rows[0], rows[-1] + 1) if together else list(rows)
