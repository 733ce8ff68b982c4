"""Previews on their way to the host, beside the steps of their slots."""

from concurrent.futures import Future
from functools import partial

from sakuga.engine.backend.base import Pixels
from sakuga.engine.backend.cuda.courier import Courier, Delivery
from sakuga.engine.backend.cuda.driver import Driver, PinnedBuffer, Stream
from sakuga.engine.backend.cuda.pool import Pool


class Previews:
    """Those of all lanes of a device. They have a courier of their own, so that none waits for a
    picture that is being decoded."""

    def __init__(self, driver: Driver, stream: Stream) -> None:
        self._driver, self._stream = driver, stream
        self._pinned = Pool(driver.allocate_pinned)
        self._courier = Courier(driver, "sakuga-previews")

    def send(self, address: int, latent: tuple[int, int]) -> Future[Pixels]:
        """The preview that lies at a device address once the stream has come here, uint8
        [latent height, latent width, 3]; what lies there may change behind it on the stream.

        Raises DeviceMemoryError.
        """
        height, width = latent
        pinned = self._pinned.take(3 * height * width)
        self._driver.copy(self._stream, pinned.address, address, pinned.size_bytes)
        result: Future[Pixels] = Future()
        self._courier.send(
            Delivery(
                self._stream.record(),
                [result],
                partial(_unpack, pinned, latent),
                partial(self._pinned.give, pinned),
            )
        )
        return result

    def close(self) -> None:
        """Wait for those on their way, then give the memory back."""
        self._courier.close()
        self._pinned.close()


def _unpack(pinned: PinnedBuffer, latent: tuple[int, int]) -> list[Pixels]:
    return [pinned.bytes.reshape(*latent, 3).copy()]
