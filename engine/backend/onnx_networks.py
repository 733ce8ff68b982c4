"""The networks of a bundle on ONNX Runtime, loaded behind the caller's back."""

import os
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

from sakuga.engine.backend.base import Session
from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.backend.side_by_side import SideBySide
from sakuga.engine.bundle import Bundle, check_same
from sakuga.profiles.plan_shapes import ROWS_PER_PICTURE

_ORDER = ("text_encoder", "text_encoder_2", "unet", "vae_decoder")  # of a picture from words
_SMALL_BYTES = 256 << 20  # of weights; the demo model's UNet has 80 MiB, that of SD1.5 3 GiB
_TOGETHER = 4  # pictures of one size, so four rows for each of two cores


class OnnxNetworks:
    """Sessions by name, loaded in the order a picture needs them, each while the one before it is
    at work; others when they are first asked for. `threads`: of a network, None for all cores."""

    def __init__(self, bundle: Bundle, threads: int | None) -> None:
        self._bundle, self._threads = bundle, threads
        self._loader = ThreadPoolExecutor(1, "sakuga-load")
        self._rows = ThreadPoolExecutor(self._cores, "sakuga-rows")
        self._sessions: dict[str, Future[Session]] = {
            name: self._loader.submit(self._load, name)
            for name in _ORDER
            if name in bundle.manifest.networks
        }

    def __call__(self, name: str) -> Session:
        """The network, once it is loaded. Raises BundleDamagedError where it cannot be."""
        if name not in self._sessions:
            self._sessions[name] = self._loader.submit(self._load, name)
        return self._sessions[name].result()

    @property
    def slots(self) -> int:
        """How many pictures of one size to work on at once: where rows go side by side, longer
        calls wait less for each other; where they do not, a processor gains nothing from them."""
        most = self._bundle.manifest.networks["unet"].axes["rows"].maximum
        if not self._side_by_side("unet") or self._cores > most:
            return 1
        return min(max(_TOGETHER, self._cores), max(most // ROWS_PER_PICTURE, 1))

    def close(self) -> None:
        """Load no more, and let go of all."""
        self._loader.shutdown(cancel_futures=True)
        self._rows.shutdown()
        self._sessions.clear()

    def _load(self, name: str) -> Session:
        graph = self._bundle.graph(name)
        if not self._side_by_side(name):
            return self._opened(graph, self._threads)
        alone, together = self._opened(graph, 1), partial(self._opened, graph, self._cores)
        return SideBySide(alone, together, self._cores, self._rows)

    @property
    def _cores(self) -> int:
        return self._threads or os.cpu_count() or 1

    def _side_by_side(self, name: str) -> bool:
        return name == "unet" and self._cores > 1 and _small(self._bundle.graph(name))

    def _opened(self, graph: Path, threads: int | None) -> Session:
        session = OnnxSession(graph, threads)
        check_same(self._bundle)
        return session


def _small(graph: Path) -> bool:
    """Whether two sessions of it are no burden, and cores that share a row mostly wait."""
    return sum(file.stat().st_size for file in graph.parent.iterdir()) <= _SMALL_BYTES
