"""Networks as TensorRT plans: TensorRT, and TensorRT for RTX, which share nearly every call.

A binding is an execution context of its own, with profile, shapes, addresses and working memory
set once: what a CUDA graph needs, and nothing is left to do at a step but the launch.
"""

import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sakuga.engine.backend.cuda.driver import Stream
from sakuga.engine.backend.cuda.jit_cache import JitCache
from sakuga.engine.backend.cuda.session import Arena, Binding, Tensor
from sakuga.engine.errors import (
    BundleDamagedError,
    DeviceMemoryError,
    EngineFault,
    MissingDependencyError,
    PlanMismatchError,
    install_hint,
)

PlanBackend = Literal["rtx", "tensorrt"]
_NO_MEMORY = re.compile(r"out ?of ?memory|cudaErrorMemoryAllocation", re.IGNORECASE)
_AGAIN = "Build the bundle again on this machine; `sakuga doctor BUNDLE` says how."
_MODULES = {"rtx": "tensorrt_rtx", "tensorrt": "tensorrt"}
# TensorRT remembers the first logger of a process and calls it to the end: none may be collected.
_LOGGERS: list[Any] = []


class TensorRt:
    """The library, loaded, with one runtime for all plans of a process; `cache` is the file of what
    TensorRT for RTX compiles for this GPU."""

    def __init__(self, backend: PlanBackend, cache: Path | None = None) -> None:
        """Raises MissingDependencyError."""
        try:
            self.library: Any = importlib.import_module(_MODULES[backend])
        except Exception as error:  # what a half-installed library raises is its own affair
            raise MissingDependencyError(
                f"Plans of the backend {backend} need {_MODULES[backend]}, which does not load.",
                note=f"{type(error).__name__}: {error}.",
                hint=install_hint(backend),
            ) from error
        self.errors: list[str] = []
        self._logger = _logger(self.library, self.errors)
        self.runtime = self.library.Runtime(self._logger)
        self.jit = JitCache(cache)

    def session(self, plan: bytes, name: str, again: str = _AGAIN) -> "TensorRtSession":
        """Load a plan on the current GPU. Raises BundleDamagedError where TensorRT refuses it, with
        `again` as its hint."""
        self.errors.clear()
        engine = self.runtime.deserialize_cuda_engine(plan)
        if engine is None:
            self.check_memory()
            raise BundleDamagedError(
                f"TensorRT cannot load the plan of the network {name}.",
                note=self.reason(),
                hint=again,
            )
        return TensorRtSession(self, engine, name)

    def close(self) -> None:
        """Keep what was compiled, while the GPU is still current."""
        self.jit.save()

    def check_memory(self) -> None:
        """Raise DeviceMemoryError where it was memory that ran out, for TensorRT's calls say only
        that they failed."""
        if any(_NO_MEMORY.search(error) for error in self.errors):
            reason = self.reason()
            self.errors.clear()
            raise DeviceMemoryError("The GPU has too little memory free.", note=reason)

    def reason(self) -> str:
        """What the library said last."""
        return " ".join(self.errors[-3:]) or "It gives no reason."


class TensorRtSession:
    """One plan, loaded."""

    def __init__(self, tensorrt: TensorRt, engine: Any, name: str) -> None:  # noqa: ANN401
        self._tensorrt, self._name = tensorrt, name
        self._engine: Any = engine

    def bind(self, tensors: Mapping[str, Tensor], arena: Arena) -> Binding:
        """A context for these tensors, in the smallest profile that covers their shapes.

        Raises PlanMismatchError where none does, or where a tensor has another type.
        """
        for name, tensor in tensors.items():
            self._check_type(name, tensor)
        inputs = {name: tensor for name, tensor in tensors.items() if not tensor.output}
        profile = self._profile(inputs)
        context = self._context()
        _must(context.set_optimization_profile_async(profile, arena.stream.handle), self._tensorrt)
        arena.stream.sync()  # the profile's own copies
        for name, tensor in inputs.items():
            _must(context.set_input_shape(name, tensor.shape), self._tensorrt)
        for name, tensor in tensors.items():
            _must(context.set_tensor_address(name, tensor.address), self._tensorrt)
        size_bytes = int(context.update_device_memory_size_for_shapes())
        binding = _Binding(self._tensorrt, context, size_bytes, arena)
        self._tensorrt.jit.save()
        return binding

    def close(self) -> None:
        """Unload it."""
        self._engine = None

    def _context(self) -> Any:  # noqa: ANN401
        """A context whose working memory is the caller's.

        TensorRT for RTX compiles for the shapes it meets: at once, for a captured graph would keep
        the stand-ins it runs meanwhile; and captures nothing itself, for the whole step is ours.
        """
        library = self._tensorrt.library
        managed = library.ExecutionContextAllocationStrategy.USER_MANAGED
        if not hasattr(library, "CudaGraphStrategy"):
            context = self._engine.create_execution_context(managed)
        else:
            config = self._engine.create_runtime_config()
            config.set_execution_context_allocation_strategy(managed)
            config.cuda_graph_strategy = library.CudaGraphStrategy.DISABLED
            strategies = library.DynamicShapesKernelSpecializationStrategy
            config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
            self._tensorrt.jit.join(config)
            self._tensorrt.errors.clear()  # a cache that is refused is no reason of what follows
            context = self._engine.create_execution_context(config)
        _must(context is not None, self._tensorrt)
        return context

    def _profile(self, inputs: Mapping[str, Tensor]) -> int:
        fitting: dict[int, int] = {}
        for profile in range(self._engine.num_optimization_profiles):
            largest = 0
            for name, tensor in inputs.items():
                low, _, high = self._engine.get_tensor_profile_shape(name, profile)
                sides = zip(tuple(low), tensor.shape, tuple(high), strict=True)
                if not all(least <= side <= most for least, side, most in sides):
                    break
                largest += int(np.prod(tuple(high)))
            else:
                fitting[profile] = largest
        if not fitting:
            shapes = ", ".join(f"{name} {list(t.shape)}" for name, t in inputs.items())
            raise PlanMismatchError(
                f"No profile of the plan {self._name} covers this call.",
                note=f"Its inputs: {shapes}.",
                hint="Build the bundle with more --shapes, or a larger --max-batch.",
            )
        return min(fitting, key=lambda profile: fitting[profile])

    def _check_type(self, name: str, tensor: Tensor) -> None:
        library = self._tensorrt.library
        found = np.dtype(library.nptype(self._engine.get_tensor_dtype(name)))
        if found != tensor.dtype:
            raise PlanMismatchError(
                f"The plan {self._name} is not this bundle's.",
                note=f"Its tensor {name} is {found}, the bundle's is {tensor.dtype}.",
                hint="Build the bundle again.",
            )


class _Binding:
    def __init__(self, tensorrt: TensorRt, context: Any, size_bytes: int, arena: Arena) -> None:  # noqa: ANN401
        self._tensorrt, self._size_bytes = tensorrt, size_bytes
        self._context: Any = context
        asks = getattr(context, "is_stream_capturable", None)
        self.rebase(arena)
        self.capturable = bool(asks(arena.stream.handle)) if asks else True

    def rebase(self, arena: Arena) -> None:
        address = arena.reserve(self._size_bytes)
        self._context.set_device_memory(address, arena.size_bytes if address else 0)

    def launch(self, stream: Stream) -> None:
        _must(self._context.execute_async_v3(stream.handle), self._tensorrt)

    def close(self) -> None:
        self._context = None


def _must(done: object, tensorrt: TensorRt) -> None:
    """Most of TensorRT's calls say only whether they went well."""
    if not done:
        tensorrt.check_memory()
        raise EngineFault(
            "TensorRT cannot run a network.",
            note=tensorrt.reason(),
            hint="Start the process again; if it happens again, build the bundle again.",
        )


def _logger(library: Any, errors: list[str]) -> Any:  # noqa: ANN401
    class Logger(library.ILogger):  # type: ignore[misc]  # its base is known at run time
        def __init__(self) -> None:
            super().__init__()

        def log(self, severity: Any, msg: str) -> None:  # noqa: ANN401
            if severity.name in {"ERROR", "INTERNAL_ERROR"}:
                errors.append(msg)
                del errors[:-16]

    made = Logger()
    _LOGGERS.append(made)
    return made
