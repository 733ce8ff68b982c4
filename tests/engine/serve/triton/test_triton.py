"""The backend file against a stand-in for Triton's Python API, which cannot be had here.

The stand-in has what Triton documents: tensors, requests with senders, responses with flags. That
Triton itself loads the file is not shown by it.
"""

import importlib.util
import io
import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sakuga.engine.bundle import Bundle
from sakuga.engine.engine import Engine
from sakuga.engine.errors import UsageError
from sakuga.engine.runtime.request import Request
from sakuga.engine.serve.triton.export import export_repository

WAIT_S = 60


class Tensor:
    def __init__(self, name: str, array: np.ndarray[Any, Any]) -> None:
        self._name, self._array = name, array

    def name(self) -> str:
        return self._name

    def as_numpy(self) -> np.ndarray[Any, Any]:
        return self._array


class TritonError(Exception):
    CANCELLED = 7

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class InferenceResponse:
    def __init__(self, output_tensors: list[Tensor], error: TritonError | None = None) -> None:
        self.tensors = {tensor.name(): tensor.as_numpy()[0] for tensor in output_tensors}
        self.error = error


class InferenceRequest:
    def __init__(self, **inputs: str) -> None:
        self.inputs = {
            name: Tensor(name, np.array([text.encode()], np.object_))
            for name, text in inputs.items()
        }
        self.answers: Queue[tuple[InferenceResponse, int]] = Queue()
        self.cancelled = False

    def get_response_sender(self) -> Any:  # noqa: ANN401
        def send(response: InferenceResponse, flags: int) -> None:
            self.answers.put((response, flags))

        return types.SimpleNamespace(send=send)

    def is_cancelled(self) -> bool:
        return self.cancelled

    def all(self) -> list[InferenceResponse]:
        found = []
        while True:
            response, flags = self.answers.get(timeout=WAIT_S)
            found.append(response)
            if flags == 1:
                assert self.answers.empty()
                return found


@pytest.fixture
def model(sdxl_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The exported backend file, loaded as Triton would: from the repository."""
    backend = types.ModuleType("triton_python_backend_utils")
    vars(backend).update(
        Tensor=Tensor,
        TritonError=TritonError,
        InferenceResponse=InferenceResponse,
        TRITONSERVER_RESPONSE_COMPLETE_FINAL=1,
        get_input_tensor_by_name=lambda request, name: request.inputs.get(name),
    )
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", backend)
    folder = export_repository(sdxl_bundle.path, tmp_path, "anime", "onnx", None)
    spec = importlib.util.spec_from_file_location("model", folder / "1" / "model.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    loaded = module.TritonPythonModel()
    parameters = {
        name: {"string_value": value}
        for name, value in (("bundle", "1/bundle.sakuga"), ("backend", "onnx"), ("preset", ""))
    }
    config = json.dumps({"name": "anime", "parameters": parameters})
    loaded.initialize({"model_config": config, "model_repository": str(folder)})
    yield loaded
    loaded.finalize()


SETTINGS = {"width": 128, "height": 160, "steps": 4, "seed": 9}


def test_a_request_gets_previews_and_then_its_picture(model: Any, sdxl_bundle: Bundle) -> None:  # noqa: ANN401
    settings = json.dumps(SETTINGS | {"preview_every": 2})
    request = InferenceRequest(PROMPT="hat", NEGATIVE_PROMPT="bad", SETTINGS=settings)
    model.execute([request])
    *previews, last = request.all()
    sizes = [Image.open(io.BytesIO(each.tensors["IMAGE"])).size for each in previews]
    assert sizes == [(16, 20)] * len(previews) and previews
    with Engine.open(sdxl_bundle.path, threads=1) as engine:
        expected = engine.render(Request("hat", "bad", **SETTINGS))  # type: ignore[arg-type]
    picture = Image.open(io.BytesIO(last.tensors["IMAGE"]))
    assert picture.convert("RGB").tobytes() == expected.pixels.tobytes()
    assert last.tensors["PARAMETERS"].decode() == expected.parameters
    assert last.tensors["STEP"] == 4


def test_a_cancelled_request_leaves_and_others_go_on(model: Any) -> None:  # noqa: ANN401
    long = InferenceRequest(PROMPT="a", SETTINGS=json.dumps(SETTINGS | {"steps": 900}))
    short = InferenceRequest(PROMPT="b", SETTINGS=json.dumps(SETTINGS))
    model.execute([long, short])
    long.cancelled = True
    (gone,) = long.all()
    assert gone.error is not None and gone.error.code == TritonError.CANCELLED
    (made,) = short.all()
    assert made.error is None


@pytest.mark.parametrize("settings", ["{", "[1]", '{"width": 129}', '{"colour": 1}'])
def test_what_cannot_be_done_is_an_error_of_its_request(model: Any, settings: str) -> None:  # noqa: ANN401
    request = InferenceRequest(PROMPT="a", SETTINGS=settings)
    model.execute([request])
    (answer,) = request.all()
    assert answer.error is not None and str(answer.error)


def test_a_repository_is_whole_and_never_overwritten(sdxl_bundle: Bundle, tmp_path: Path) -> None:
    folder = export_repository(sdxl_bundle.path, tmp_path, None, None, "none")
    config = (folder / "config.pbtxt").read_text()
    assert f'name: "{folder.name}"' in config and "decoupled: true" in config
    assert "KIND_GPU" in config and config.count("{") == config.count("}")
    with pytest.raises(UsageError, match="already something"):
        export_repository(sdxl_bundle.path, tmp_path, None, None, None)
    with pytest.raises(UsageError, match="cannot be called"):
        export_repository(sdxl_bundle.path, tmp_path, "../x", None, None)
