"""ONNX Runtime's CUDA provider where it is missing, and where the GPU's memory is too small."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from sakuga.engine.backend.cuda import onnx_cuda
from sakuga.engine.backend.cuda.host_driver import HostDriver
from sakuga.engine.backend.cuda.onnx_cuda import PROVIDER, Algorithms, OnnxCudaSession
from sakuga.engine.backend.onnxruntime import onnxruntime_library
from sakuga.engine.bundle import Bundle
from sakuga.engine.errors import BundleDamagedError, DeviceMemoryError, MissingDependencyError


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_the_processor_never_steps_in(sdxl_bundle: Bundle) -> None:
    """The library itself, without its CUDA provider, loads the network on the processor."""
    if PROVIDER in onnxruntime_library().get_available_providers():
        pytest.skip("this ONNX Runtime has the provider")
    stream = HostDriver().create_stream()
    with pytest.raises(MissingDependencyError, match="cannot use the GPU") as caught:
        OnnxCudaSession(sdxl_bundle.graph("unet"), stream)
    assert "cuDNN 9" in caught.value.note
    assert "pip install" in caught.value.hint


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("BFCArena: Failed to allocate memory for requested buffer of size 64", DeviceMemoryError),
        ("CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc", DeviceMemoryError),
        ("Protobuf parsing failed.", BundleDamagedError),
    ],
)
def test_memory_that_runs_out_while_loading_is_no_damage(
    sdxl_bundle: Bundle, monkeypatch: pytest.MonkeyPatch, said: str, error: type[Exception]
) -> None:
    def fail(*arguments: object, enable_fallback: int) -> NoReturn:
        assert enable_fallback == 0
        raise RuntimeError(said)

    library = SimpleNamespace(
        SessionOptions=onnxruntime_library().SessionOptions, InferenceSession=fail
    )
    monkeypatch.setattr(onnx_cuda, "onnxruntime_library", lambda: library)
    with pytest.raises(error) as caught:
        OnnxCudaSession(sdxl_bundle.graph("unet"), HostDriver().create_stream())
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("algorithms", "search"), [("measured", "EXHAUSTIVE"), ("fixed", "HEURISTIC")]
)
def test_algorithms_are_measured_or_fixed(
    sdxl_bundle: Bundle, monkeypatch: pytest.MonkeyPatch, algorithms: Algorithms, search: str
) -> None:
    """The options, as ONNX Runtime is given them; without a GPU it takes them and no more."""
    found = {}

    def session(graph: Path, options: Any, providers: Any, enable_fallback: int) -> NoReturn:  # noqa: ANN401
        ((name, provider),) = providers
        found[name] = (provider["cudnn_conv_algo_search"], options.use_deterministic_compute)
        raise RuntimeError("seen")

    library = SimpleNamespace(
        SessionOptions=onnxruntime_library().SessionOptions, InferenceSession=session
    )
    monkeypatch.setattr(onnx_cuda, "onnxruntime_library", lambda: library)
    stream = HostDriver().create_stream()
    with pytest.raises(BundleDamagedError, match="cannot load"):
        OnnxCudaSession(sdxl_bundle.graph("unet"), stream, algorithms)
    assert found == {PROVIDER: (search, algorithms == "fixed")}
