"""The networks of a bundle on ONNX Runtime, loaded behind the caller's back."""

from concurrent.futures import Future, ThreadPoolExecutor

from sakuga.engine.backend.base import Session
from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.bundle import Bundle, check_same

_ORDER = ("text_encoder", "text_encoder_2", "unet", "vae_decoder")


class OnnxNetworks:
    """Sessions by name, loaded in the order a picture needs them, each while the one before it is
    at work. `threads`: of a network, None for all cores."""

    def __init__(self, bundle: Bundle, threads: int | None) -> None:
        self._bundle, self._threads = bundle, threads
        self._loader = ThreadPoolExecutor(1, "sakuga-load")
        self._sessions: dict[str, Future[Session]] = {
            name: self._loader.submit(self._load, name)
            for name in _ORDER
            if name in bundle.manifest.networks
        }

    def __call__(self, name: str) -> Session:
        """The network, once it is loaded. Raises BundleDamagedError where it cannot be."""
        return self._sessions[name].result()

    def close(self) -> None:
        """Load no more, and let go of all."""
        self._loader.shutdown(cancel_futures=True)
        self._sessions.clear()

    def _load(self, name: str) -> Session:
        session = OnnxSession(self._bundle.graph(name), self._threads)
        check_same(self._bundle)
        return session
