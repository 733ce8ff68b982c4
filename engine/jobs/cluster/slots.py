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
        each = "a GPU" if self.gpus else f"{self.cpus} cores" if self.cpus > 1 else "one core"
        return f"{self.count} engines with {each} each" if self.count > 1 else f"1 engine on {each}"


def find_slots(nodes: Nodes, bundle: Bundle, backend: str | None, threads: int | None) -> Slots:
    """One engine a GPU, or on processors one for every `threads` cores.

    GPUs are used for whatever needs them: plans, and ONNX Runtime where its build for GPUs is
    installed here. Without `threads` an engine takes as many cores as the largest machine has.
    Raises UsageError where there is no room for any.
    """
    alive = [node for node in nodes if node["Alive"]]
    gpus = sum(int(node["Resources"].get("GPU", 0)) for node in alive)
    wanted = backend or ("plans" if bundle.manifest.plans else None)
    if wanted not in (None, "onnx") and not gpus:
        raise UsageError(
            f"No machine of the Ray cluster has a GPU, which {wanted} needs.",
            note=f"It has {len(alive)} machines.",
            hint="Start Ray where the GPUs are, or say --backend onnx.",
        )
    if gpus and (wanted not in (None, "onnx") or (wanted is None and has_cuda_provider())):
        return Slots(gpus, cpus=1, gpus=1)
    return _on_processors(alive, threads)


def _on_processors(nodes: Nodes, threads: int | None) -> Slots:
    cores = {
        str(node["NodeManagerHostname"]): int(node["Resources"].get("CPU", 0)) for node in nodes
    }
    each = threads or max(cores.values(), default=0)
    if not each or each > max(cores.values()):
        raise UsageError(
            f"No machine of the Ray cluster has {each or 'any'} cores for an engine.",
            note=", ".join(f"{host}: {count}" for host, count in cores.items()),
            hint="Say how many an engine gets with --threads, or start Ray with more: --num-cpus.",
        )
    idle = [host for host, count in cores.items() if 0 < count < each]
    note = f"Without an engine, having fewer than {each} cores: {', '.join(idle)}." if idle else ""
    return Slots(sum(count // each for count in cores.values()), each, 0, note)
