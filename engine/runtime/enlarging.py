"""A picture enlarged without a pass of a sampler, between the evaluations of others."""

import threading
from concurrent.futures import CancelledError, Future

from sakuga.engine.backend.base import Device, Pixels
from sakuga.engine.refine.upscaler import Watch
from sakuga.engine.refine.upscalers import Upscalers
from sakuga.engine.runtime.worker import Worker
from sakuga.profiles.buckets import Size


def enlarging(
    worker: Worker, upscalers: Upscalers, name: str, pixels: Pixels, size: Size, watch: Watch
) -> "Future[Pixels]":
    """See `Engine.upscale`. Cancelling the future ends it before the next tile."""
    upscalers.check(name)
    left = threading.Event()

    def told(tile: int, tiles: int) -> None:
        if left.is_set():
            raise CancelledError
        watch(tile, tiles)

    def enlarge(_: Device) -> Pixels:
        return upscalers.find(name).enlarge(pixels, size, told)

    found = worker.call(enlarge)
    found.add_done_callback(lambda _: left.set())
    return found
