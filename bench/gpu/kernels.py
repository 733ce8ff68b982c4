"""Do our kernels move bytes as fast as a copy does? Each beside a copy that moves as many.

A copy of n bytes moves 2n. Both are replayed from a graph, so both pay the same for being launched.
Latents of one or 16 pictures stay in the L2 cache, for kernel and copy alike, as they do between
two steps; the case of 256 MB does not, and draws no noise, for what Philox computes is no matter of
bytes.
"""

from dataclasses import replace
from statistics import median
from typing import Any

from common import Figure

from gpu.ceilings import copy_seconds, latent_count
from gpu.kernel_cases import BYTES, CASES, INIT, MOVED, NOISE_READ, PREVIEW, Make
from gpu.memory import memory
from gpu.site import Found, Scale, Site
from gpu.timing import replayed
from sakuga.engine.backend.cuda.driver import Driver, Stream
from sakuga.kernels.launch import ENTRIES

BAR_PERCENT = 80.0
_DRAWS = {"denoise_step_half", "init_noise"}


def measure(site: Site) -> Found:
    """One slot, 16 slots, and what the caches cannot hold."""
    driver = site.make_driver()
    stream = driver.create_stream()
    figures: list[Figure] = []
    details: dict[str, Any] = {}
    for kernel, make in CASES.items():
        noises = (True, False) if kernel in _DRAWS else (False,)
        for slots in (1, 16):
            for noisy in noises:
                places = "one slot" if slots == 1 else f"{slots} slots"
                where = f"{kernel}, {places}" + (", noise drawn" if noisy else "")
                row = _one(site, driver, stream, make, latent_count(site), slots, noisy)
                details[where] = row
                # The bar holds for the kernel as pictures use it.
                figures.append(_figure(where, row, barred=noisy == noises[0]))
        row = _large(site, driver, stream, kernel, make)
        details[f"{kernel}, memory"] = row
        figures.append(_figure(f"{kernel}, {row['moved'] / 1e6:.0f} MB", row, barred=True))
    driver.close()
    return Found(figures, {"kernels": details})


def _large(site: Site, driver: Driver, stream: Stream, kernel: str, make: Make) -> dict[str, Any]:
    """As many slots as a launch takes, each so large that together they leave the cache."""
    each = MOVED[kernel] + (NOISE_READ if kernel == INIT else 0)
    per_element = {BYTES: 16 * each, PREVIEW: each / 4}.get(kernel, each)
    count = 8 * round(site.scale.dram_bytes / (per_element * ENTRIES * 8))
    few = replace(site.scale, chained=max(site.scale.chained // 10, 1))
    return _one(replace(site, scale=few), driver, stream, make, count, ENTRIES, False)


def _one(
    site: Site, driver: Driver, stream: Stream, make: Make, count: int, slots: int, noisy: bool
) -> dict[str, Any]:
    scale: Scale = site.scale
    with memory(driver, stream) as held:
        case = make(site, held, count, slots, noisy)
        launch = driver.kernel(case.kernel, case.blocks, case.arguments)
        kernel = replayed(driver, stream, lambda: launch(stream), scale)
    copy = copy_seconds(driver, stream, case.moved // 2, scale, chained=True)
    return {"moved": case.moved, "blocks": case.blocks, "kernel_s": kernel, "copy_s": copy}


def _figure(where: str, row: dict[str, Any], barred: bool) -> Figure:
    kernel, copy = median(row["kernel_s"]), median(row["copy_s"])
    rate, beside = 1e-9 * row["moved"] / kernel, 1e-9 * row["moved"] / copy
    words = f"{rate:.0f} GB/s in {1e6 * kernel:.2f} µs, copy {beside:.0f} GB/s"
    bar = BAR_PERCENT if barred else None
    return Figure(where, 100 * copy / kernel, "% of a copy", bar, "at least", words)
