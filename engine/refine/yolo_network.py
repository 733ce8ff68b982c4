"""A detector's network and what runs it: ONNX Runtime on the processor, or another opener."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.backend.onnxruntime import onnxruntime_library, session_options
from sakuga.engine.errors import FileFormatError, RenderError

Array = NDArray[Any]
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class YoloNetwork(Protocol):
    """A loaded network with one input, [1, 3, height, width]."""

    @property
    def properties(self) -> Mapping[str, str]:
        """What its file says of it."""
        ...

    @property
    def sides(self) -> tuple[int | None, int | None]:
        """Height and width of the input; None for a side that may be any."""
        ...

    @property
    def outputs(self) -> list[list[int | None]]:
        """The outputs' shapes; None for a side that depends on the input's."""
        ...

    def run(self, pixels: NDArray[np.float32]) -> list[Array]:
        """All outputs, in float32, for float32 [1, 3, height, width] in [0, 1]."""
        ...


class OnnxYoloNetwork:
    """On ONNX Runtime's CPU provider; `threads` None takes all cores.

    Raises FileFormatError for a file that is no such network.
    """

    def __init__(self, file: Path, threads: int | None = None) -> None:
        ort, options = onnxruntime_library(), session_options(threads)
        options.log_severity_level = 4
        try:
            self._session = ort.InferenceSession(file, options, ["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has no exception class of its own in public
            raise FileFormatError(
                f"{file.name} is no ONNX file that ONNX Runtime can load.",
                note=str(error).strip(),
                hint="Export the network to ONNX again, or fetch the file again.",
            ) from error
        self._file = file
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type not in _TYPES or not _takes_pictures(inputs[0].shape):
            raise FileFormatError(
                f"{file.name} is no detector: it does not take one picture.",
                note="; ".join(f"{each.name}: {each.type} {each.shape}" for each in inputs) + ".",
                hint="Take a YOLO network exported with one picture in a batch.",
            )
        self._input = inputs[0]

    @property
    def properties(self) -> Mapping[str, str]:
        """The file's metadata."""
        found: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        return found

    @property
    def sides(self) -> tuple[int | None, int | None]:
        """Height and width of the input; None for a side that may be any."""
        height, width = _known(self._input.shape)[2:]
        return height, width

    @property
    def outputs(self) -> list[list[int | None]]:
        """The outputs' shapes."""
        return [_known(output.shape) for output in self._session.get_outputs()]

    def run(self, pixels: NDArray[np.float32]) -> list[Array]:
        """All outputs, in float32. Raises RenderError where ONNX Runtime fails."""
        given = pixels.astype(_TYPES[self._input.type], copy=False)
        try:
            outputs = self._session.run(None, {self._input.name: given})
        except Exception as error:
            raise RenderError(
                f"ONNX Runtime failed in the detector {self._file.name}.",
                note=f"{str(error).strip()} Its input: {list(pixels.shape)}.",
                hint="Export the network to ONNX again, or take another detector.",
            ) from error
        return [np.asarray(output, np.float32) for output in outputs]


def _known(shape: list[Any]) -> list[int | None]:
    """ONNX Runtime names a side that is open, or has None for it."""
    return [side if isinstance(side, int) else None for side in shape]


def _takes_pictures(shape: list[Any]) -> bool:
    if len(shape) != 4:
        return False
    rows, channels, *sides = _known(shape)
    return rows in (1, None) and channels in (3, None) and all(s is None or s > 0 for s in sides)
