"""From finished latents to pictures in host memory, beside the next steps.

A latent is copied off its lane at once, so its place is free for the next picture. Decoding, the
conversion to bytes and the copy to the host run on a stream of their own; a courier waits for each
copy and hands the picture out.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from sakuga.engine.backend.base import Decoded
from sakuga.engine.backend.cuda.calls import Calls, Padding, padded_rows
from sakuga.engine.backend.cuda.courier import Courier, Delivery
from sakuga.engine.backend.cuda.driver import Buffer, Driver, Event, PinnedBuffer
from sakuga.engine.backend.cuda.pool import Pool, allocate_all
from sakuga.engine.backend.cuda.session import Tensor
from sakuga.engine.backend.cuda.staging import Staging
from sakuga.engine.backend.network import Networks, dtype_of, latent_shape, row_shape
from sakuga.kernels.launch import STEP_ROW, Seat, fill_launch, new_launch
from sakuga.kernels.launcher import Argument, grid
from sakuga.kernels.to_rgb8 import Rounding

_FLAG_BYTES = 4


@dataclass(eq=False)
class Finished:
    """A latent off its lane. `held`: the device memory it lies in, from the decoder's pool."""

    latent: tuple[int, int]
    rounding: Rounding
    held: Buffer
    begun: bool = False  # its decoding lies on the stream
    result: "Future[Decoded]" = field(default_factory=Future)


class Decoder:
    """`rows`: pictures of one call of the VAE, with `padding` where there are fewer."""

    def __init__(
        self,
        driver: Driver,
        staging: Staging,
        networks: Networks,
        vae: Calls,
        rows: int,
        padding: Padding,
    ) -> None:
        self._driver, self._stream, self._vae = driver, vae.stream, vae
        self._rows = rows
        self._padding: Padding = padding
        self._networks, self._entry = networks, networks.entries["vae_decoder"]
        self.latents = Pool(driver.allocate)
        self._pinned = Pool(driver.allocate_pinned)
        self._scale = driver.allocate(STEP_ROW.itemsize)
        row = np.zeros((), STEP_ROW)
        row["c_in"] = networks.decode_scale
        staging.upload(self._scale.address, row[None])
        self._buffers: dict[tuple[int, int], tuple[Buffer, Buffer, Buffer]] = {}
        self._courier = Courier(driver, "sakuga-pictures")

    def decode(self, pictures: Sequence[Finished], ready: Event) -> None:
        """Put the decoding of pictures, alike in size and rounding, on the stream. `ready`: when
        their latents are in place."""
        self._stream.wait(ready)
        for start in range(0, len(pictures), self._rows):
            self._some(pictures[start : start + self._rows])

    def forget(self) -> None:
        """Give back all memory that the next picture can ask for again."""
        self._stream.sync()
        self._vae.forget()
        for buffers in self._buffers.values():
            for buffer in buffers:
                buffer.close()
        self._buffers.clear()
        self.latents.close()

    def close(self) -> None:
        """Wait for the pictures on their way, then give everything back."""
        self._courier.close()
        self.forget()
        self._scale.close()
        self._pinned.close()

    def _some(self, pictures: Sequence[Finished]) -> None:
        latent, rounding = pictures[0].latent, pictures[0].rounding
        source, image, pixels = self._buffers_of(latent)
        count = int(np.prod(latent_shape(latent)))
        for row, picture in enumerate(pictures):
            self._scaled(picture.held.address, source.address, row, count)
        rows = len(pictures)
        padded = padded_rows(rows, self._rows, self._padding)
        self._vae.launch((latent, padded), lambda: self._tensors(latent, padded))
        area = 64 * latent[0] * latent[1]
        flags = pixels.address + 3 * area * self._rows
        self._driver.clear(self._stream, flags, _FLAG_BYTES * self._rows)
        self._to_bytes(image, pixels, flags, area, rows, rounding)
        self._send(pictures, pixels, flags, area, count)

    def _scaled(self, from_: int, to: int, row: int, count: int) -> None:
        """The latent as the VAE wants it, by the kernel that makes the UNet's inputs."""
        kind = dtype_of(self._entry.inputs[0])
        record = new_launch()
        fill_launch(record, [Seat(0, (row,))])
        name = "model_inputs_half" if kind == np.float16 else "model_inputs_float"
        arguments: list[Argument] = [
            record, np.uint64(self._scale.address), np.int32(0), np.uint64(count),
            np.uint64(count), np.uint64(0), np.uint64(from_), np.uint64(to), np.uint64(0),
        ]  # fmt: skip
        self._driver.kernel(name, grid(count, 1), arguments)(self._stream)

    def _to_bytes(
        self, image: Buffer, pixels: Buffer, flags: int, area: int, rows: int, rounding: Rounding
    ) -> None:
        half = dtype_of(self._entry.outputs[0]) == np.float16
        arguments: list[Argument] = [
            np.uint64(image.address), np.uint64(pixels.address), np.uint64(flags),
            np.uint64(area), np.int32(rounding == "round"),
        ]  # fmt: skip
        name = "to_rgb8_half" if half else "to_rgb8_float"
        self._driver.kernel(name, grid(area, rows), arguments)(self._stream)

    def _send(
        self, pictures: Sequence[Finished], pixels: Buffer, flags: int, area: int, count: int
    ) -> None:
        """Copy bytes, flags and latents, in this order, to memory of the host."""
        rows = len(pictures)
        pinned = self._pinned.take(rows * (3 * area + _FLAG_BYTES + 4 * count))
        at = pinned.address
        parts = [(pixels.address, 3 * area * rows), (flags, _FLAG_BYTES * rows)]
        parts += [(picture.held.address, 4 * count) for picture in pictures]
        for address, size_bytes in parts:
            self._driver.copy(self._stream, at, address, size_bytes)
            at += size_bytes
        for picture in pictures:
            picture.begun = True
        self._courier.send(
            Delivery(
                self._stream.record(),
                [picture.result for picture in pictures],
                partial(_unpack, pinned, pictures[0].latent, rows),
                partial(self._release, pictures, pinned),
            )
        )

    def _release(self, pictures: Sequence[Finished], pinned: PinnedBuffer) -> None:
        for picture in pictures:
            self.latents.give(picture.held)
        self._pinned.give(pinned)

    def _tensors(self, latent: tuple[int, int], rows: int) -> dict[str, Tensor]:
        source, image, _ = self._buffers_of(latent)
        given, made = self._entry.inputs[0], self._entry.outputs[0]
        return {
            given.name: Tensor(source.address, (rows, *row_shape(given, latent)), dtype_of(given)),
            made.name: Tensor(
                image.address, (rows, *row_shape(made, latent)), dtype_of(made), output=True
            ),
        }

    def _buffers_of(self, latent: tuple[int, int]) -> tuple[Buffer, Buffer, Buffer]:
        """The VAE's input and output, and bytes with their flags behind them."""
        if latent not in self._buffers:
            given, made = self._entry.inputs[0], self._entry.outputs[0]
            area = 64 * latent[0] * latent[1]
            sizes = (
                int(np.prod(row_shape(given, latent))) * dtype_of(given).itemsize,
                3 * area * dtype_of(made).itemsize,
                3 * area + _FLAG_BYTES,
            )
            rows = self._rows
            first, second, third = allocate_all(self._driver, (size * rows for size in sizes))
            self._driver.clear(self._stream, first.address, first.size_bytes)  # rows of padding
            self._buffers[latent] = first, second, third
        return self._buffers[latent]


def _unpack(pinned: PinnedBuffer, latent: tuple[int, int], rows: int) -> list[Decoded]:
    (height, width), shape = latent, latent_shape(latent)
    area, size_bytes = 64 * height * width, 4 * int(np.prod(shape))
    bounds = np.cumsum([3 * area * rows, _FLAG_BYTES * rows])
    pixels, flags, latents = np.split(pinned.bytes, bounds)
    broken = flags.view(np.uint32)
    return [
        Decoded(
            pixels[3 * area * row : 3 * area * (row + 1)].reshape(8 * height, 8 * width, 3).copy(),
            latents[size_bytes * row : size_bytes * (row + 1)]
            .copy()
            .view(np.float32)
            .reshape(shape),
            not broken[row],
        )
        for row in range(rows)
    ]
