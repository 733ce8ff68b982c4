"""What loads networks on a GPU: from plans, or into ONNX Runtime's CUDA provider."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeAlias

from sakuga.engine.backend.cuda.driver import Stream
from sakuga.engine.backend.cuda.onnx_cuda import Algorithms, OnnxCudaSession
from sakuga.engine.backend.cuda.plan_files import PlanFiles
from sakuga.engine.backend.cuda.session import DeviceSession
from sakuga.engine.backend.cuda.tensorrt import TensorRt
from sakuga.engine.backend.onnxruntime import onnxruntime_library
from sakuga.engine.bundle import Bundle, check_same
from sakuga.engine.errors import BundleDamagedError, PlanMismatchError
from sakuga.engine.manifest import PlanSetEntry
from sakuga.engine.plans import here, mismatch
from sakuga.engine.upscaler_folder import UpscalerFolder, UpscalerPrecision

Load: TypeAlias = Callable[[Stream], DeviceSession]

SELDOM = "vae_encoder"  # loaded when a picture is first read; no start waits for it, no plan of
# the memory keeps room for it


class Loader(Protocol):
    """Loads the networks of a bundle on this GPU, for runs on a stream."""

    @property
    def name(self) -> str:
        """The library that runs them, and its version."""
        ...

    def __call__(self, name: str, stream: Stream) -> DeviceSession:
        """A network."""
        ...

    def upscaler(self, folder: UpscalerFolder) -> Load:
        """What loads the network of an upscaler. Raises PlanMismatchError where it has none for
        this GPU."""
        ...

    def close(self) -> None:
        """Load no more."""
        ...


class PlanLoader:
    """The plans of a set, read ahead and loaded when first used; `jit` is TensorRT's cache."""

    def __init__(
        self,
        bundle: Bundle,
        plans: PlanSetEntry,
        visitors: frozenset[str],
        jit: Path | None = None,
    ) -> None:
        self._bundle = bundle
        self.name = f"{plans.backend} {plans.version}"
        self._tensorrt = TensorRt(plans.backend, jit)
        self._backend = plans.backend
        paths: dict[str, Path] = {
            name: bundle.path / plan.file for name, plan in plans.plans.items()
        }
        self._files = PlanFiles(paths, ahead=frozenset(paths) - visitors - {SELDOM})

    def __call__(self, name: str, stream: Stream) -> DeviceSession:
        """A plan serves any stream."""
        session = self._tensorrt.session(self._files.take(name), name)
        check_same(self._bundle)
        return session

    def upscaler(self, folder: UpscalerFolder) -> Load:
        """Its plan, which must be of the same library. Raises PlanMismatchError."""
        name, plan = folder.manifest.name, folder.manifest.plan
        if plan is None:
            raise _no_plan(folder, self._backend, "It was built without one.")
        if plan.backend != self._backend:
            raise _no_plan(folder, self._backend, f"Its plan is one of {plan.backend}.")
        if reason := mismatch(plan, here()):
            raise _no_plan(folder, self._backend, f"Its plan does not run here: {reason}.")
        return lambda stream: self._tensorrt.session(
            _read(folder, plan.file), f"upscaler {name}", again=_again(folder, self._backend)
        )

    def close(self) -> None:
        """Read no more, and keep what TensorRT compiled."""
        self._files.close()
        self._tensorrt.close()


class OnnxLoader:
    """The bundle's graphs on ONNX Runtime's CUDA provider; `algorithms` of its sessions."""

    def __init__(self, bundle: Bundle, algorithms: Algorithms = "measured") -> None:
        self._bundle = bundle
        self._algorithms: Algorithms = algorithms
        self.name = f"onnxruntime-gpu {onnxruntime_library().__version__}"

    def __call__(self, name: str, stream: Stream) -> DeviceSession:
        """A session belongs to its stream."""
        session = OnnxCudaSession(self._bundle.graph(name), stream, self._algorithms)
        check_same(self._bundle)
        return session

    def upscaler(self, folder: UpscalerFolder) -> Load:
        """Its graph in the fewest bits it is exact in."""
        precision: UpscalerPrecision = "float32"
        if "float16" in folder.manifest.graphs:
            precision = "float16"
        return lambda stream: OnnxCudaSession(folder.graph(precision), stream, self._algorithms)

    def close(self) -> None:
        """Nothing is under way."""


def _no_plan(folder: UpscalerFolder, backend: str, why: str) -> PlanMismatchError:
    return PlanMismatchError(
        f"The upscaler {folder.manifest.name} has no plan for this GPU.",
        note=why,
        hint=_again(folder, backend),
    )


def _again(folder: UpscalerFolder, backend: str) -> str:
    source, out = (shlex.quote(str(each)) for each in (folder.manifest.source, folder.path))
    return (
        f"Build it again on this machine: sakuga build-upscaler {source} --out {out} "
        f"--backend {backend}"
    )


def _read(folder: UpscalerFolder, file: str) -> bytes:
    try:
        return (folder.path / file).read_bytes()
    except OSError as error:
        raise BundleDamagedError(
            f"The plan of the upscaler {folder.manifest.name} cannot be read.",
            note=f"{error.strerror or error}: {folder.path / file}.",
            hint="If it was built again meanwhile, open the engine again.",
        ) from error
