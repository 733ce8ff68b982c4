"""Runs a plan once on the GPU at hand, on arrays of the host: for checks, not for pictures."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from sakuga.engine.backend.base import Array
from sakuga.engine.errors import PlanBuildError
from sakuga.export.plans.callbacks import Guard, logger
from sakuga.export.plans.flavour import Flavour
from sakuga.export.plans.log import BuildLog
from sakuga.kernels.cuda_packages import cuda_package


class PlanRun:
    """A plan, loaded on the first GPU. Raises PlanBuildError where TensorRT refuses it."""

    def __init__(self, flavour: Flavour, plan: Path, log: BuildLog) -> None:
        self._library, self._plan = flavour.library, plan
        self._device = cuda_package("core").Device(0)
        self._device.set_current()
        self._stream = self._device.create_stream()
        self._messages = logger(flavour.library, log, Guard())
        self._runtime = flavour.library.Runtime(self._messages)
        self.engine = self._runtime.deserialize_cuda_engine(plan.read_bytes())
        if self.engine is None:
            raise self._failure("load", log.errors)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.close()

    def run(self, inputs: Mapping[str, Array], profile: int = 0) -> dict[str, Array]:
        """All outputs by name, for inputs of shapes that the profile covers."""
        context = self.engine.create_execution_context()
        handle = int(self._stream.handle)
        context.set_optimization_profile_async(profile, handle)
        self._stream.sync()
        buffers: dict[str, Any] = {}
        for name in self._names("INPUT"):
            array = np.ascontiguousarray(inputs[name].astype(self._type(name)))
            context.set_input_shape(name, array.shape)
            buffers[name] = self._upload(array)
        outputs: dict[str, Array] = {}
        for name in self._names("OUTPUT"):
            outputs[name] = np.empty(tuple(context.get_tensor_shape(name)), self._type(name))
            buffers[name] = self._device.allocate(outputs[name].nbytes, stream=self._stream)
        for name, buffer in buffers.items():
            context.set_tensor_address(name, int(buffer.handle))
        if not context.execute_async_v3(handle):
            raise self._failure("run", [])
        self._stream.sync()
        for name, array in outputs.items():
            _copy("cuMemcpyDtoH", array.ctypes.data, int(buffers[name].handle), array.nbytes)
        return outputs

    def layers(self) -> str:
        """The engine inspector's JSON on all layers."""
        inspector = self.engine.create_engine_inspector()
        text: str = inspector.get_engine_information(self._library.LayerInformationFormat.JSON)
        return text

    def _names(self, mode: str) -> list[str]:
        wanted = getattr(self._library.TensorIOMode, mode)
        names = [self.engine.get_tensor_name(i) for i in range(self.engine.num_io_tensors)]
        return [name for name in names if self.engine.get_tensor_mode(name) == wanted]

    def _type(self, name: str) -> np.dtype[Any]:
        found: np.dtype[Any] = np.dtype(self._library.nptype(self.engine.get_tensor_dtype(name)))
        return found

    def _upload(self, array: Array) -> Any:  # noqa: ANN401
        buffer = self._device.allocate(array.nbytes, stream=self._stream)
        self._stream.sync()
        _copy("cuMemcpyHtoD", int(buffer.handle), array.ctypes.data, array.nbytes)
        return buffer

    def _failure(self, verb: str, reasons: list[str]) -> PlanBuildError:
        return PlanBuildError(
            f"TensorRT cannot {verb} the plan it built ({self._plan.name}).",
            note=" ".join(reasons) or "It gives no reason.",
            hint="Check the driver with `sakuga doctor`; --gpu builds for another machine.",
        )


def _copy(call: str, to: int, from_: int, size_bytes: int) -> None:
    (status,) = getattr(cuda_package("bindings.driver"), call)(to, from_, size_bytes)
    if int(status):
        raise PlanBuildError(
            "The GPU does not take or give data.",
            note=f"{call}: {status.name}.",
            hint="Check the driver with `sakuga doctor`.",
        )
