"""The plans of a bundle, read ahead: while one is set up, the next one comes off the disk."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

_ORDER = ("text_encoder", "text_encoder_2", "unet", "vae_decoder")


class PlanFiles:
    """Paths by network; those in `ahead` are read at once, in the order a picture needs them."""

    def __init__(self, paths: dict[str, Path], ahead: frozenset[str]) -> None:
        self._paths = paths
        self._reader = ThreadPoolExecutor(1, "sakuga-read")
        self._read: dict[str, Future[bytes]] = {
            name: self._reader.submit(paths[name].read_bytes)
            for name in _ORDER
            if name in ahead and name in paths
        }

    def take(self, name: str) -> bytes:
        """A plan's bytes, kept no longer than this. Raises OSError."""
        read = self._read.pop(name, None)
        return self._paths[name].read_bytes() if read is None else read.result()

    def close(self) -> None:
        """Read no more."""
        self._reader.shutdown(cancel_futures=True)
        self._read.clear()
