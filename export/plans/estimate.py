"""What a build of plans will take, said before it starts, and refused where it cannot fit.

The figures come from builds that were measured (docs/log.md): what a plan takes beside its
weights, what the builder holds at its peak, and its time on two cores.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sakuga.engine.errors import BuildError

_KERNELS_BYTES = 20e6  # of a plan, for each profile
_FULL_KERNELS_BYTES = 50e6  # the same for a network of more than a gigabyte
_BASE_MEMORY_BYTES = 0.8e9
_MEMORY_PER_WEIGHT = 3.1  # times the weights, at the builder's peak
_MEMORY_PER_PROFILE = 0.05e9
_SECONDS_PER_PROFILE = 6.0
_FULL_SECONDS_PER_PROFILE = 75.0
_SECONDS_PER_BYTE = 25e-9
_LARGE = 1e9


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


def estimate(networks: Iterable[tuple[int, int]]) -> Estimate:
    """From the bytes of weights and the number of profiles of each network."""
    disk = memory = seconds = 0.0
    for weights, profiles in networks:
        large = weights > _LARGE
        disk += weights + profiles * (_FULL_KERNELS_BYTES if large else _KERNELS_BYTES)
        memory = max(memory, weights * _MEMORY_PER_WEIGHT + profiles * _MEMORY_PER_PROFILE)
        seconds += weights * _SECONDS_PER_BYTE
        seconds += profiles * (_FULL_SECONDS_PER_PROFILE if large else _SECONDS_PER_PROFILE)
    return Estimate(disk, memory + _BASE_MEMORY_BYTES, seconds)


def check_room(wanted: Estimate, free_disk: int, free_memory: int | None) -> None:
    """Raise BuildError where the disk or the memory cannot suffice."""
    if wanted.disk_bytes > free_disk:
        raise BuildError(
            "The disk is too small for the plans.",
            note=f"They need {wanted.disk_bytes / 1e9:.1f} GB, {free_disk / 1e9:.1f} GB are free.",
            hint="Free space, choose another folder with --out, or build with --shapes range.",
        )
    if free_memory is not None and wanted.memory_bytes > free_memory:
        raise BuildError(
            "The memory is too small for building these plans.",
            note=f"The builder needs {wanted.memory_bytes / 1e9:.1f} GB, "
            f"{free_memory / 1e9:.1f} GB are free.",
            hint="Close other programs, build with --shapes range, or build on another machine: "
            "plans for --backend rtx need no GPU to build.",
        )
