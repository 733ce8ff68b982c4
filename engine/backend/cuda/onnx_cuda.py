"""Networks on ONNX Runtime's CUDA provider, for machines with `onnxruntime-gpu` alone."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from sakuga.engine.backend.cuda.driver import Stream
from sakuga.engine.backend.cuda.session import Arena, Binding, Tensor
from sakuga.engine.backend.onnxruntime import onnxruntime_library
from sakuga.engine.errors import (
    BundleDamagedError,
    DeviceMemoryError,
    MissingDependencyError,
    RenderError,
)

Algorithms = Literal["measured", "fixed"]
_SEARCHES = {"measured": "EXHAUSTIVE", "fixed": "HEURISTIC"}
PROVIDER = "CUDAExecutionProvider"
_NO_MEMORY = re.compile(r"failed to allocate memory|out of memory", re.IGNORECASE)


class OnnxCudaSession:
    """A network whose runs are put on one stream. It keeps working memory of its own, and its runs
    are not captured.

    `algorithms` of convolutions are `measured` and the fastest taken, which may be another at the
    next start, or `fixed`: shape, GPU and libraries decide, and none sums in an order of chance.
    """

    def __init__(self, graph: Path, stream: Stream, algorithms: Algorithms = "measured") -> None:
        ort = onnxruntime_library()
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.use_deterministic_compute = algorithms == "fixed"
        provider = {
            "device_id": "0",
            "user_compute_stream": str(stream.handle),
            "arena_extend_strategy": "kSameAsRequested",
            "cudnn_conv_algo_search": _SEARCHES[algorithms],
        }
        if hasattr(ort, "preload_dlls"):
            ort.preload_dlls()  # CUDA and cuDNN from NVIDIA's own packages, where they are
        providers = [(PROVIDER, provider)]
        try:
            self._session: Any = ort.InferenceSession(graph, options, providers, enable_fallback=0)
        except Exception as error:  # ONNX Runtime has no exception class of its own in public
            if _NO_MEMORY.search(str(error)):
                raise _too_little(error) from error
            raise BundleDamagedError(
                f"ONNX Runtime cannot load the network {graph.parent.name} on the GPU.",
                note=str(error).strip(),
                hint="Build the bundle again, or render with --backend onnx.",
            ) from error
        if PROVIDER not in self._session.get_providers():
            raise MissingDependencyError(
                "ONNX Runtime cannot use the GPU.",
                note="Its CUDA provider does not load. It needs cuDNN 9, and the runtime, cuBLAS "
                f"and cuFFT of {_cuda_of(ort)}.",
                hint="pip install 'onnxruntime-gpu[cuda,cudnn]', or render with --backend onnx.",
            )
        self._run_options = ort.RunOptions()
        self._run_options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        self._name = graph.parent.name

    def bind(self, tensors: Mapping[str, Tensor], arena: Arena) -> Binding:
        """I/O binding on the tensors' own memory."""
        binding = self._session.io_binding()
        for name, tensor in tensors.items():
            bind = binding.bind_output if tensor.output else binding.bind_input
            bind(name, "cuda", 0, tensor.dtype.type, tensor.shape, tensor.address)
        return _Binding(self._session, binding, self._run_options, self._name)

    def close(self) -> None:
        """Unload it."""
        self._session = None


class _Binding:
    capturable = False  # what a run launches may differ from run to run

    def __init__(self, session: Any, binding: Any, options: Any, name: str) -> None:  # noqa: ANN401
        self._session, self._binding, self._options, self._name = session, binding, options, name

    def rebase(self, arena: Arena) -> None:
        """ONNX Runtime has working memory of its own."""

    def launch(self, stream: Stream) -> None:
        try:
            self._session.run_with_iobinding(self._binding, self._options)
        except Exception as error:  # no class of its own
            if _NO_MEMORY.search(str(error)):
                raise _too_little(error) from error
            raise RenderError(
                f"ONNX Runtime failed in the network {self._name}.", note=str(error).strip()
            ) from error

    def close(self) -> None:
        self._binding = None


def _cuda_of(ort: Any) -> str:  # noqa: ANN401
    version = getattr(ort, "cuda_version", "")
    return f"CUDA {version}" if version else "CUDA"


def _too_little(error: Exception) -> DeviceMemoryError:
    return DeviceMemoryError("The GPU has too little memory free.", note=str(error).strip())
