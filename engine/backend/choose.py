"""Which device renders a bundle here: its plans, ONNX Runtime on the GPU, or the processor."""

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from sakuga.engine.backend.base import Device
from sakuga.engine.backend.cpu import CpuDevice
from sakuga.engine.backend.network import Networks
from sakuga.engine.backend.onnx_networks import OnnxNetworks
from sakuga.engine.bundle import Bundle
from sakuga.engine.errors import MissingDependencyError, PlanMismatchError, UsageError, install_hint
from sakuga.engine.plans import BACKENDS, BackendName, Here, here, usable_plans


def choose_device(
    bundle: Bundle,
    backend: str | None,
    threads: int | None,
    vram_bytes: int | None,
    deterministic: bool = False,
) -> Callable[[], Device]:
    """What opens the device; call it on the thread that will own it.

    Without `backend`: the bundle's plans where there is a GPU, for who built plans wants them used,
    and says `onnx` where not; else ONNX Runtime's CUDA provider where it is installed and there is
    a GPU; else the processor, which is always deterministic. Raises UsageError, PlanMismatchError,
    MissingDependencyError.
    """
    if backend is not None and backend not in BACKENDS:
        raise UsageError(
            f"There is no backend called {backend!r}.", hint=f"Use one of {', '.join(BACKENDS)}."
        )
    machine = here()
    chosen = backend or _default(bundle, machine)
    if chosen == "onnx":
        _check_no_vram(vram_bytes, "the processor has no GPU memory")
        return lambda: processor(bundle, threads)
    gpu = machine.gpu
    if gpu is None:
        raise PlanMismatchError(
            f"The backend {chosen} needs an NVIDIA GPU, and there is none here.",
            note="`sakuga doctor` shows what this machine has.",
            hint="Leave --backend out, or say --backend onnx.",
        )
    from sakuga.engine.backend.cuda import opening

    padding: Literal["captured", "full"] = "full" if deterministic else "captured"
    if chosen == "onnx-cuda":
        _check_no_vram(vram_bytes, "ONNX Runtime keeps its own memory")
        _check_provider()
        return lambda: opening.open_onnx(bundle, gpu, padding)
    name, plans = usable_plans(bundle, machine)
    if backend is not None and plans.backend != backend:
        raise PlanMismatchError(
            f"{bundle.path.name} has no plans of the backend {backend} that run here.",
            note=f"It has {name}.",
            hint=f"Say --backend {plans.backend}, or build with --backend {backend}.",
        )
    return lambda: opening.open_plans(bundle, plans, gpu, vram_bytes, padding)


def processor(bundle: Bundle, threads: int | None) -> CpuDevice:
    """A bundle on the processor, with as many pictures at once as is fastest."""
    sessions = OnnxNetworks(bundle, threads)
    return CpuDevice(Networks.of(bundle), sessions, sessions.slots, threads)


def _default(bundle: Bundle, machine: Here) -> BackendName:
    if machine.gpu is None:
        return "onnx"
    if bundle.manifest.plans:
        return usable_plans(bundle, machine)[1].backend
    return "onnx-cuda" if has_cuda_provider() else "onnx"


def has_cuda_provider() -> bool:
    """Whether ONNX Runtime for GPUs is installed; it is not loaded."""
    try:
        version("onnxruntime-gpu")
    except PackageNotFoundError:
        return False
    return True


def _check_provider() -> None:
    if not has_cuda_provider():
        raise MissingDependencyError(
            "ONNX Runtime for GPUs is not installed.",
            note="The packages onnxruntime and onnxruntime-gpu take each other's place.",
            hint=f"{install_hint('cuda')} Then pip uninstall -y onnxruntime && "
            "pip install onnxruntime-gpu",
        )


def _check_no_vram(vram_bytes: int | None, why: str) -> None:
    if vram_bytes is not None:
        raise UsageError(
            "A limit of GPU memory works with plans alone.",
            note=f"Here {why}.",
            hint="Leave --vram out, or build plans: sakuga build MODEL --backend rtx.",
        )
