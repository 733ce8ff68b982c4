"""Sessions on ONNX Runtime, the embedded default."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sakuga.engine.backend.base import Array
from sakuga.engine.errors import BundleDamagedError, MissingDependencyError, RenderError

_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
}


def onnxruntime_library() -> Any:  # noqa: ANN401 (it carries no types)
    """The library, with its reports to its maker off unless the user turned them on.

    Importing it is enough to start them, so the switch comes first. Raises MissingDependencyError.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError(
            "ONNX Runtime is not installed, or does not load.",
            note=f"{error}.",
            hint="Install it: pip install onnxruntime",
        ) from error
    return onnxruntime


def session_options(threads: int | None) -> Any:  # noqa: ANN401
    """Of a session on the processor; None for all cores."""
    options = onnxruntime_library().SessionOptions()
    options.log_severity_level = 3
    # Threads look out for work long after a call, on cores another network could have.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if threads is not None:
        options.intra_op_num_threads = threads
    return options


class OnnxSession:
    """A network of a bundle on ONNX Runtime's CPU provider.

    Full graph optimisation (`all`) is not a matter of speed alone: with it each row of a call is
    bitwise what it is alone. `none` keeps every value of the graph, and the weights on the disk
    until they are read: slow, and small enough for the largest network in float16.
    """

    def __init__(
        self,
        graph: Path,
        threads: int | None = None,
        optimization: Literal["all", "none"] = "all",
    ) -> None:
        ort, options = onnxruntime_library(), session_options(threads)
        levels = ort.GraphOptimizationLevel
        options.graph_optimization_level = {
            "all": levels.ORT_ENABLE_ALL,
            "none": levels.ORT_DISABLE_ALL,
        }[optimization]
        if optimization == "none":
            options.execution_order = ort.ExecutionOrder.PRIORITY_BASED  # as the graph has them
            options.add_session_config_entry("session.disable_prepacking", "1")
            options.enable_cpu_mem_arena = False
        try:
            self._session = ort.InferenceSession(graph, options, ["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has no exception class of its own in public
            raise BundleDamagedError(
                f"ONNX Runtime cannot load the network {graph.parent.name}.",
                note=str(error).strip(),
                hint="Build the bundle again with this version of Sakuga.",
            ) from error
        self._graph = graph
        self._types = {
            tensor.name: np.dtype(_TYPES[tensor.type]) for tensor in self._session.get_inputs()
        }
        self._outputs = [output.name for output in self._session.get_outputs()]

    def in_types(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The inputs in the types the network takes."""
        return {name: array.astype(self._types[name], copy=False) for name, array in inputs.items()}

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name. Raises RenderError where ONNX Runtime fails."""
        try:
            outputs: Any = self._session.run(self._outputs, dict(inputs))
        except Exception as error:
            shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in inputs.items())
            raise RenderError(
                f"ONNX Runtime failed in the network {self._graph.parent.name}.",
                note=f"{str(error).strip()} Inputs: {shapes}.",
                hint="If memory ran out, render smaller or fewer pictures at once.",
            ) from error
        return dict(zip(self._outputs, outputs, strict=True))
