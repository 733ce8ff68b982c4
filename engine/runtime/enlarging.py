"""A picture enlarged without a pass of a sampler, between the evaluations of others."""

from collections.abc import Callable
from concurrent.futures import Future

from sakuga.engine.backend.base import Device, Pixels
from sakuga.engine.refine.upscaler import Enlarging
from sakuga.engine.refine.upscalers import Upscalers
from sakuga.engine.runtime.worker import Worker
from sakuga.profiles.buckets import Size

# Told before each tile which it is and of how many; what it raises ends the work.
Watch = Callable[[int, int], None]


def unwatched(tile: int, tiles: int) -> None:
    """Watches nothing."""


def enlarging(
    worker: Worker, upscalers: Upscalers, name: str, pixels: Pixels, size: Size, watch: Watch
) -> "Future[Pixels]":
    """See `Engine.upscale`. Cancelling the future ends it before the next tile."""
    upscalers.check(name)

    def begin(device: Device) -> Enlarging:
        return _watched(upscalers.find(name, device.upscaler).enlarge(pixels, size), watch)

    return worker.take_turns(begin)


def _watched(steps: Enlarging, watch: Watch) -> Enlarging:
    while True:
        try:
            tile, tiles = next(steps)
        except StopIteration as end:
            pixels: Pixels = end.value
            return pixels
        watch(tile, tiles)
        yield tile, tiles
