"""The two ceilings of this GPU: bytes a second of a copy, operations a second of a product."""

from importlib.util import find_spec
from statistics import median
from typing import Any

import numpy as np
from common import Figure

from gpu.memory import memory
from gpu.site import Found, Scale, Site
from gpu.timing import replayed, timed
from sakuga.engine.backend.cuda.driver import Driver, Stream

_DTYPES = ("float16", "bfloat16")


def measure(site: Site) -> Found:
    """Copies as large as memory sees, and as small as our kernels; large matrix products."""
    driver, scale = site.make_driver(), site.scale
    stream = driver.create_stream()
    large = scale.dram_bytes
    sizes = {"1 GB": 4 * large, "256 MB": large, "a slot's latent": 4 * latent_count(site)}
    sizes["16 latents"] = 16 * sizes["a slot's latent"]
    samples: dict[str, Any] = {}
    figures = []
    for name, size in sizes.items():
        chained = size < large
        samples[name] = copy_seconds(driver, stream, size, scale, chained)
        rate = 2e-9 * size / median(samples[name])
        how = "replayed from a graph" if chained else "one at a time"
        figures.append(Figure(f"copy of {name}", rate, "GB/s", beside=f"read + written, {how}"))
    if find_spec("torch") is None:
        driver.close()
        return Found(figures, {"seconds": samples, "products": "not measured: torch is not here"})
    for dtype in _DTYPES:
        seconds = product_seconds(site, driver, stream, dtype)
        samples[dtype] = seconds
        figures.append(Figure(f"product of {scale.gemm_side}² {dtype}",
                              2e-12 * scale.gemm_side**3 / median(seconds), "TFLOP/s",
                              beside="torch, random numbers"))  # fmt: skip
    driver.close()
    return Found(figures, {"seconds": samples})


def latent_count(site: Site) -> int:
    """Elements of the kernels' picture's latent."""
    height, width = site.slot_size.latent()
    return 4 * height * width


def copy_seconds(
    driver: Driver, stream: Stream, size_bytes: int, scale: Scale, chained: bool
) -> list[float]:
    """Seconds of one copy between two places on the device."""
    count = max(size_bytes // 4, 1)
    with memory(driver, stream) as held:
        to, from_ = (int(held.normal(count, np.float32)) for _ in range(2))

        def work() -> None:
            driver.copy(stream, to, from_, size_bytes)

        return (replayed if chained else timed)(driver, stream, work, scale)


def product_seconds(site: Site, driver: Driver, stream: Stream, dtype: str) -> list[float]:
    """Seconds of one square product in torch, on our stream."""
    import torch

    from gpu.torch_session import on

    side, kind = site.scale.gemm_side, getattr(torch, dtype)
    with on(stream, site.device):
        first, second = (
            torch.randn(side, side, device=site.device, dtype=torch.float32).to(kind)
            for _ in range(2)
        )
        out = torch.empty_like(first)
        return timed(driver, stream, lambda: torch.mm(first, second, out=out), site.scale)


def peak_tflops(site: Site, driver: Driver, stream: Stream) -> float:
    """The float16 ceiling of this very run, which the networks' floors stand on."""
    seconds = median(product_seconds(site, driver, stream, "float16"))
    return 2e-12 * site.scale.gemm_side**3 / seconds
