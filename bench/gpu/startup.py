"""How long until an engine is ready, and until its first picture? In a process of its own.

The parts of the way stand beside each other. With networks in torch, drawing their weights takes
the place of loading plans; it is shown by itself and belongs to the stand-in alone.
"""

from time import perf_counter

from common import Figure

from gpu.networks import choose
from gpu.pictures import Setting, timed
from gpu.site import Found, Site


def measure(site: Site) -> Found:
    """Seconds, one after another."""
    chosen = choose(site)
    drawn = timed(chosen.prepare)
    start = perf_counter()
    engine = chosen.engine(site, chosen.options(rows=2))
    ready = perf_counter() - start
    setting = Setting("", site.slot_size, site.scale.steps, "euler_a", 7.0)
    with engine:
        first, second, third = (
            timed(lambda: engine.render(setting.requests(1)[0])) for _ in range(3)
        )
    figures = [
        Figure("weights drawn", drawn, "s", beside="of a stand-in alone"),
        Figure("engine opened", ready, "s", beside="driver, tokenizer, token embeddings"),
        Figure("first picture", first, "s", beside="kernels compiled or read, calls bound"),
        Figure("second picture", second, "s"),
        Figure("third picture", third, "s"),
    ]
    return Found(figures, chosen.said)
