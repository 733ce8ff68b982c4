"""What a build of plans will take, said before it starts, and refused where it cannot fit.

The figures come from the builds in docs/log.md: what a plan takes beside its weights, what the
builder holds at its peak, and its time on two cores.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sakuga.engine.errors import BuildError


@dataclass(frozen=True)
class Scale:
    """What plans of networks of one size take, beside their weights, for each profile."""

    kernels_bytes: float
    seconds: float
    memory_bytes: float


_SMALL = Scale(kernels_bytes=18e6, seconds=6.0, memory_bytes=0.06e9)
_LARGE = Scale(kernels_bytes=52e6, seconds=57.0, memory_bytes=0.15e9)
_LARGE_WEIGHTS = 3e9  # bytes: full-size UNets, and nothing else, are larger
_BASE_MEMORY_BYTES = 0.7e9
_MEMORY_PER_WEIGHT = 3.25
_SECONDS_PER_BYTE = 9e-9  # of weights: reading, trying out, folding


@dataclass(frozen=True)
class Estimate:
    """Bytes of plans on the disk, bytes of memory at the peak, seconds on two cores."""

    disk_bytes: float
    memory_bytes: float
    seconds: float

    def __str__(self) -> str:
        minutes = max(round(self.seconds / 60), 1)
        return (
            f"about {self.disk_bytes / 1e9:.1f} GB of plans, {self.memory_bytes / 1e9:.1f} GB of "
            f"memory and {minutes} min on two cores"
        )


def estimate_plan(weights_bytes: int, profiles: int) -> Estimate:
    """One network's plan."""
    scale = _LARGE if weights_bytes > _LARGE_WEIGHTS else _SMALL
    return Estimate(
        weights_bytes + profiles * scale.kernels_bytes,
        _BASE_MEMORY_BYTES + weights_bytes * _MEMORY_PER_WEIGHT + profiles * scale.memory_bytes,
        weights_bytes * _SECONDS_PER_BYTE + profiles * scale.seconds,
    )


def estimate(plans: Iterable[Estimate]) -> Estimate:
    """All plans, built one after another."""
    all_of_them = list(plans)
    return Estimate(
        sum(plan.disk_bytes for plan in all_of_them),
        max((plan.memory_bytes for plan in all_of_them), default=0),
        sum(plan.seconds for plan in all_of_them),
    )


def check_room(wanted: Estimate, free_disk: int, free_memory: int | None, place: str) -> None:
    """Raise BuildError where the disk at `place` or the memory cannot suffice."""
    if wanted.disk_bytes > free_disk:
        raise BuildError(
            "The disk is too small for the plans.",
            note=f"They need {wanted.disk_bytes / 1e9:.1f} GB, {free_disk / 1e9:.1f} GB are free "
            f"at {place}.",
            hint="Free space there, or build with --shapes range. XDG_CACHE_HOME moves the store "
            "of plans.",
        )
    if free_memory is not None and wanted.memory_bytes > free_memory:
        raise BuildError(
            "The memory is too small for building these plans.",
            note=f"The builder needs {wanted.memory_bytes / 1e9:.1f} GB, "
            f"{free_memory / 1e9:.1f} GB are free.",
            hint="Close other programs, build with --shapes range, or build on another machine: "
            "plans for --backend rtx need no GPU to build.",
        )
