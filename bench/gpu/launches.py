"""What does the host ask of the GPU for a step? One network, one kernel, and no wait.

The worker's pacing is not counted: it waits while the GPU has two steps before it.
"""

from common import Figure

from gpu.counting import CountingDriver, CountingLoader
from gpu.networks import choose
from gpu.site import Found, Site
from gpu.slots import guided_slot
from sakuga.engine.backend.cuda.device import CudaDevice
from sakuga.engine.backend.network import Networks
from sakuga.engine.runtime.batcher import Batcher
from sakuga.engine.runtime.runner import Runner

_SETTLED = 2  # the first run of a call binds, the second captures


def measure(site: Site) -> Found:
    """Counted at the driver, over the settled steps of two pictures that share their calls."""
    chosen, driver = choose(site), CountingDriver(site.make_driver())
    load = CountingLoader(chosen.make_loader(), driver.counts)
    device = CudaDevice(driver, Networks.of(chosen.bundle), load, chosen.options(rows=4))
    runner, batcher = Runner(device), Batcher(device.slots, device.rows)
    for index in range(2):
        batcher.add(guided_slot(site.family, site.slot_size, site.scale.steps, index))
    steps = 0
    while batcher.waiting:
        if steps == _SETTLED:
            driver.counts.clear()
        batch = batcher.next()
        runner.run(batch)
        batcher.done(batch)
        steps += 1
    counts, settled = dict(driver.counts), steps - _SETTLED
    device.close()
    kernels = sum(count for what, count in counts.items() if what.startswith("kernel "))
    others = {"network": "launches of a network", "copy": "copies", "wait": "waits of the host"}
    figures = [Figure("launches of our kernels, a step", kernels / settled, "", 1)]
    for what, words in others.items():
        bar = 1.0 if what == "network" else 0.0
        figures.append(Figure(f"{words}, a step", counts.get(what, 0) / settled, "", bar))
    return Found(figures, chosen.said | {"counts": counts, "steps": settled})
