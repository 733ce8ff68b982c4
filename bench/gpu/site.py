"""Where a part measures: the GPU's driver, the family, and how much of everything."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import Figure

from sakuga.engine.backend.cuda.driver import Driver
from sakuga.profiles.buckets import ANIMAGINE_BUCKETS, Size
from sakuga.profiles.families import SDXL, Family


@dataclass(frozen=True)
class Scale:
    """How much a part does. `repeats`: timings of each thing at most, after `warm` untimed ones.
    `chained`: launches in one graph. `rows` of a UNet call. `pictures` of a throughput, with calls
    of `engine_rows` rows, or `rival_pictures` to a call of the rival; `latencies` one at a time."""

    repeats: int = 20
    warm: int = 3
    chained: int = 50
    dram_bytes: int = 256 << 20
    gemm_side: int = 8192
    rows: tuple[int, ...] = tuple(range(1, 17))
    steps: int = 28
    pictures: int = 16
    engine_rows: tuple[int, ...] = (8, 16)
    rival_pictures: tuple[int, ...] = (1, 4, 8)
    latencies: int = 5


_PORTRAIT, _SQUARE = Size(832, 1216), Size(1024, 1024)


@dataclass(frozen=True)
class Site:
    """`make_driver`: a driver of the GPU on the calling thread. `bundle`: a full-size one with
    plans, None where there is none. `work`: a folder for what is made on the way.

    `device`: torch's name of the GPU; `compiles`: whether torch.compile is used.
    `slot_size`: the kernels' picture; `square`: the pictures' other size.
    """

    make_driver: Callable[[], Driver]
    work: Path
    bundle: Path | None = None
    family: Family = SDXL
    sizes: tuple[Size, ...] = ANIMAGINE_BUCKETS
    slot_size: Size = _PORTRAIT
    square: Size = _SQUARE
    device: str = "cuda"
    compiles: bool = True
    scale: Scale = Scale()


@dataclass(frozen=True)
class Found:
    """What a part found. `details`: all samples, and what the networks were."""

    figures: list[Figure]
    details: dict[str, Any] = field(default_factory=dict)
