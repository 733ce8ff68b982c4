"""How long is a decoding? The VAE at one, two and four pictures of a call."""

from statistics import median

from common import Figure

from gpu.bound import bound
from gpu.ceilings import peak_tflops
from gpu.networks import choose
from gpu.site import Found, Site
from gpu.timing import timed
from gpu.work import vae_tflop

BAR_MS = 25.0


def measure(site: Site) -> Found:
    """Milliseconds of a picture."""
    chosen, driver = choose(site), site.make_driver()
    stream, load = driver.create_stream(), chosen.make_loader()
    session = load("vae_decoder", stream)
    peak = peak_tflops(site, driver, stream)
    figures: list[Figure] = []
    samples: dict[str, list[float]] = {}
    for size in (site.square, site.slot_size):
        tflop = vae_tflop(site.family, size)
        floor = "" if tflop is None else f"floor {1e3 * tflop / peak:.1f} ms"
        for rows in (1, 2, 4):
            with bound(driver, stream, chosen, session, "vae_decoder", size, rows) as run:
                seconds = samples[f"{size}, {rows}"] = timed(driver, stream, run, site.scale)
            what = f"VAE, {size}, {rows} in a call, each"
            figures.append(Figure(what, 1e3 * median(seconds) / rows, "ms", BAR_MS, beside=floor))
    session.close()
    load.close()
    driver.close()
    return Found(figures, chosen.said | {"seconds": samples, "product_tflops": peak})
