"""A bundle as a model of NVIDIA Triton's Python backend, with decoupled responses.

Triton loads this file from the model repository that `sakuga export-triton` writes. Each request
gets previews, if it asks for them, and then the picture; requests share the device step by step,
and one that is cancelled leaves it before its next evaluation.

Source: the README of triton-inference-server/python_backend, "Decoupled mode" and "Request
Cancellation Handling".
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils  # pyright: ignore[reportMissingImports]

from sakuga.engine.engine import Engine
from sakuga.engine.errors import SakugaError
from sakuga.engine.image.formats import encode
from sakuga.engine.image.jpeg import JpegOptions
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.ticket import Ticket

_PREVIEW = JpegOptions(80)


class TritonPythonModel:
    """The name Triton looks for."""

    def initialize(self, arguments: dict[str, str]) -> None:
        """Open the bundle that config.pbtxt names."""
        config = json.loads(arguments["model_config"])
        parameters = {
            name: each["string_value"] for name, each in config.get("parameters", {}).items()
        }
        folder = Path(arguments["model_repository"])
        self.engine = Engine.open(
            (folder / parameters["bundle"]).resolve(),
            backend=parameters.get("backend") or None,
            preset=parameters.get("preset") or None,
        )

    def execute(self, requests: list[Any]) -> None:
        """Take requests; their answers come later, through their senders."""
        for request in requests:
            _Answer(self.engine, request).begin()

    def finalize(self) -> None:
        """Close the engine; requests under way learn of it."""
        self.engine.close()


class _Answer:
    """What becomes of one request."""

    def __init__(self, engine: Engine, request: Any) -> None:  # noqa: ANN401 (Triton's type)
        self._engine, self._request = engine, request
        self._sender = request.get_response_sender()
        self._ticket: Ticket | None = None

    def begin(self) -> None:
        """Hand the picture in, or answer with the error."""
        try:
            settings = json.loads(_text(self._request, "SETTINGS") or "{}")
            every, priority = settings.pop("preview_every", 0), settings.pop("priority", 0)
            negative = _text(self._request, "NEGATIVE_PROMPT")
            prompt = _text(self._request, "PROMPT") or ""
            self._ticket = self._engine.submit(
                Request(prompt, negative, **settings),
                priority=priority,
                preview_every=every,
                on_step=self._stepped,
                on_preview=self._show if every else None,
            )
        except (SakugaError, TypeError, ValueError, AttributeError) as error:
            self._fail(str(error))
        else:
            self._ticket.add_done_callback(self._finish)

    def _stepped(self, index: int, done: int, total: int) -> None:
        if self._request.is_cancelled() and self._ticket is not None:
            self._ticket.cancel()

    def _show(self, ticket: Ticket) -> None:
        pixels = ticket.preview()
        if pixels is not None:
            jpeg = encode(pixels, "", _PREVIEW)
            self._send(jpeg, "", ticket.progress().done, final=False)

    def _finish(self, ticket: Ticket) -> None:
        if ticket.cancelled:
            self._fail("The request was cancelled.", pb_utils.TritonError.CANCELLED)
            return
        try:
            picture = ticket.result()
        except Exception as error:  # whoever asked must learn of it
            self._fail(str(error))
        else:
            self._send(picture.to_png(), picture.parameters, ticket.progress().done, final=True)

    def _send(self, image: bytes, parameters: str, step: int, final: bool) -> None:
        tensors = [
            pb_utils.Tensor("IMAGE", np.array([image], np.object_)),
            pb_utils.Tensor("PARAMETERS", np.array([parameters.encode()], np.object_)),
            pb_utils.Tensor("STEP", np.array([step], np.int32)),
        ]
        flags = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL if final else 0
        self._sender.send(pb_utils.InferenceResponse(output_tensors=tensors), flags=flags)

    def _fail(self, words: str, code: int | None = None) -> None:
        error = pb_utils.TritonError(words) if code is None else pb_utils.TritonError(words, code)
        self._sender.send(
            pb_utils.InferenceResponse(output_tensors=[], error=error),
            flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL,
        )


def _text(request: Any, name: str) -> str | None:  # noqa: ANN401 (Triton's type)
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    if tensor is None:
        return None
    value = tensor.as_numpy().reshape(-1)[0]
    return value.decode() if isinstance(value, bytes) else str(value)
