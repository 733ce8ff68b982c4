"""How many engines a cluster has room for, and what each of them gets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sakuga.engine.backend.choose import has_cuda_provider
from sakuga.engine.bundle import Bundle
from sakuga.engine.errors import UsageError

Nodes = Sequence[Mapping[str, Any]]  # as `ray.nodes()` gives them


@dataclass(frozen=True)
class Slots:
    """`count` engines with `cpus` cores and `gpus` GPUs each. `note`: machines that have none."""

    count: int
    cpus: int
    gpus: int
    note: str = ""

    def __str__(self) -> str:
        each = "a GPU" if self.gpus else _cores(self.cpus)
        return f"{self.count} engines with {each} each" if self.count > 1 else f"1 engine on {each}"


def find_slots(nodes: Nodes, bundle: Bundle, backend: str | None, threads: int | None) -> Slots:
    """One engine a GPU, or on processors one for every `threads` cores.

    GPUs are used for what `Engine.open` would use one for: plans, and ONNX Runtime where its build
    for GPUs is installed here. Without `threads` an engine takes as many cores as the largest
    machine has. Raises UsageError where there is no room for any.
    """
    alive = [node for node in nodes if node["Alive"]]
    gpus = sum(int(node["Resources"].get("GPU", 0)) for node in alive)
    asked = backend not in (None, "onnx")
    if asked and not gpus:
        raise UsageError(
            f"No machine of the Ray cluster has a GPU, which the backend {backend} needs.",
            note=f"Machines: {len(alive)}.",
            hint="Start Ray where the GPUs are, or say --backend onnx.",
        )
    useful = backend is None and (bundle.manifest.plans or has_cuda_provider())
    if gpus and (asked or useful):
        return Slots(gpus, cpus=1, gpus=1)
    return _on_processors(alive, threads)


def _on_processors(nodes: Nodes, threads: int | None) -> Slots:
    cores = [int(node["Resources"].get("CPU", 0)) for node in nodes]
    most = max(cores, default=0)
    each = threads or most
    if not 0 < each <= most:
        raise UsageError(
            f"No machine of the Ray cluster has {_cores(max(each, 1))} for an engine.",
            note=f"They have {', '.join(map(str, cores))}.",
            hint="Say how many an engine gets with --threads, or start Ray with more: --num-cpus.",
        )
    idle = sum(0 < count < each for count in cores)
    note = f"Machines with fewer than {_cores(each)}, without an engine: {idle}." if idle else ""
    return Slots(sum(count // each for count in cores), each, 0, note)


def _cores(count: int) -> str:
    return "one core" if count == 1 else f"{count} cores"
