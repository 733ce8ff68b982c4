"""Which of a bundle's plans can run here, and what is in the way of the others."""

import shlex
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal, Protocol, get_args

from sakuga.engine.bundle import Bundle
from sakuga.engine.errors import PlanMismatchError
from sakuga.engine.gpu import Gpu, find_gpu
from sakuga.engine.manifest import PlanSetEntry

BackendName = Literal["onnx", "onnx-cuda", "rtx", "tensorrt"]
BACKENDS: tuple[BackendName, ...] = get_args(BackendName)  # what a bundle can be rendered with

# The distributions that bring each library, the one to install first.
PACKAGES = {
    "tensorrt": ("tensorrt", "tensorrt-cu13", "tensorrt-cu12"),
    "rtx": ("tensorrt-rtx", "tensorrt-rtx-cu13"),
}


@dataclass(frozen=True)
class Here:
    """This machine: the version of each library by backend, where installed, and the GPU."""

    versions: dict[str, str]
    gpu: Gpu | None


def here() -> Here:
    """Look at this machine; imports no library."""
    versions: dict[str, str] = {}
    for backend, packages in PACKAGES.items():
        for package in packages:
            with suppress(PackageNotFoundError):
                versions.setdefault(backend, version(package))
    return Here(versions, find_gpu())


class Planned(Protocol):
    """What plans say of where they run, a bundle's or an upscaler's."""

    @property
    def backend(self) -> Literal["rtx", "tensorrt"]:
        """The library."""
        ...

    @property
    def version(self) -> str:
        """Its version."""
        ...

    @property
    def targets(self) -> tuple[str, ...]:
        """Compute capabilities, or `any`, or `current`."""
        ...

    @property
    def gpu(self) -> str | None:
        """Which GPU was the current one."""
        ...


def mismatch(plans: Planned, machine: Here) -> str | None:
    """The first thing that keeps plans from running on a machine, None where nothing does."""
    installed = machine.versions.get(plans.backend)
    if installed is None:
        return f"library: {PACKAGES[plans.backend][0]} is not installed"
    if installed != plans.version:
        return f"version: built with {plans.version}, installed is {installed}"
    gpu = machine.gpu
    if gpu is None:
        return "GPU: there is none here"
    if plans.gpu is not None:
        same = str(gpu) == plans.gpu
        return None if same else f"GPU: built on {plans.gpu}, here is {gpu}"
    if plans.targets != ("any",) and gpu.capability not in plans.targets:
        built = ", ".join(plans.targets)
        return f"target: built for {built}, here is {gpu.capability} ({gpu.name})"
    return None


def usable_plans(bundle: Bundle, machine: Here) -> tuple[str, PlanSetEntry]:
    """The plan set to run, and its name. Raises PlanMismatchError where none can be."""
    reasons = []
    for name, plans in bundle.manifest.plans.items():
        reason = mismatch(plans, machine)
        if reason is None:
            return name, plans
        reasons.append(f"{name}: {reason}.")
    raise PlanMismatchError(
        f"No plan of {bundle.path.name} can run here.",
        note=" ".join(reasons) or "The bundle was built without plans.",
        hint=f"Build it for this machine: {rebuild_command(bundle, machine)}",
    )


def rebuild_command(bundle: Bundle, machine: Here) -> str:
    """The command that makes plans for this machine, otherwise as the bundle's are.

    MODEL stands for the checkpoint, of which a bundle knows name and hash and not the path.
    """
    plans = next(iter(bundle.manifest.plans.values()), None)
    usable: list[str] = list(machine.versions) or ["rtx"]
    backend = plans.backend if plans and plans.backend in usable else usable[0]
    options = [f"--out {shlex.quote(str(bundle.path))}"]
    if machine.gpu is not None:
        options.append(f"--backend {backend}")
    else:  # TensorRT for RTX alone builds without the GPU
        ahead = plans.targets if plans and plans.gpu is None else ("any",)
        options.append(f"--backend rtx --gpu {','.join(ahead)}")
    if plans is not None:
        shapes = ",".join(plans.sizes) if plans.shapes == "sizes" else plans.shapes
        options.append(f"--shapes {shapes} --max-batch {plans.max_batch}")
    model = "demo" if bundle.manifest.family == "sdxl-demo" else "MODEL"
    return f"sakuga build {model} {' '.join(options)}"
