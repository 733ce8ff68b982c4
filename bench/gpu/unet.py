"""How long is a step? The UNet at 1 to 16 rows of every bucket, against what it has to compute."""

from collections.abc import Sequence
from statistics import median
from typing import Any

from common import Figure

from gpu.bound import bound
from gpu.ceilings import peak_tflops
from gpu.networks import Chosen, Kind, choose, stand_in
from gpu.site import Found, Site
from gpu.timing import timed
from gpu.work import unet_tflop
from sakuga.profiles.buckets import Size

_COMPILED_ROWS = (2, 4, 8, 16)
_GUIDED = 2  # rows of one picture


def measure(site: Site, kind: Kind) -> Found:
    """Every bucket and every number of rows the networks take; of compiled stand-ins few."""
    if kind == "compiled":
        rows = [count for count in site.scale.rows if count in _COMPILED_ROWS]
        chosen = stand_in(site, kind, instead_of={"plans": "torch.compile is what is measured"})
        return _step_times(site, chosen, (site.square, site.slot_size), rows)
    chosen = choose(site)
    sizes = [size for size in site.sizes if chosen.sizes is None or chosen.sizes.allows(size)]
    rows = [count for count in site.scale.rows if count <= chosen.rows]
    return _step_times(site, chosen, sizes, rows)


def _step_times(site: Site, chosen: Chosen, sizes: Sequence[Size], rows: Sequence[int]) -> Found:
    driver = site.make_driver()
    stream, load = driver.create_stream(), chosen.make_loader()
    session, peak = load("unet", stream), peak_tflops(site, driver, stream)
    samples: dict[str, dict[int, list[float]]] = {}
    for size in sizes:
        samples[str(size)] = {}
        for count in rows:
            with bound(driver, stream, chosen, session, "unet", size, count) as run:
                samples[str(size)][count] = timed(driver, stream, run, site.scale)
            print(f"{size}, {count} rows: {1e3 * median(samples[str(size)][count]):.2f} ms",
                  flush=True)  # fmt: skip
    figures = [
        _figure(site, size, count, median(samples[str(size)][count]), peak)
        for size in sizes
        for count in (_GUIDED, max(rows))
    ]
    session.close()
    load.close()
    driver.close()
    details: dict[str, Any] = {"seconds": samples, "product_tflops": peak}
    return Found(figures, chosen.said | details)


def _figure(site: Site, size: Size, rows: int, seconds: float, peak: float) -> Figure:
    tflop = unet_tflop(site.family, size)
    beside = ""
    if tflop is not None:
        rate = rows * tflop / seconds
        beside = (f"{rate:.0f} TFLOP/s, {100 * rate / peak:.0f} % of a product's; "
                  f"floor {1e3 * rows * tflop / peak:.1f} ms")  # fmt: skip
    return Figure(f"UNet, {size}, {rows} rows", 1e3 * seconds, "ms", beside=beside)
