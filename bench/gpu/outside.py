"""What does a step take beside its network? Our kernel on the GPU, and the host that feeds both."""

from statistics import median
from time import perf_counter

from common import Figure

from gpu.networks import choose
from gpu.site import Found, Site
from gpu.slots import guided_slot
from gpu.timing import timed
from sakuga.engine.backend.base import Block, Start
from sakuga.engine.backend.cuda.calls import Calls
from sakuga.engine.backend.cuda.lane import CudaLane
from sakuga.engine.backend.cuda.previews import Previews
from sakuga.engine.backend.cuda.session import Arena
from sakuga.engine.backend.cuda.staging import Staging
from sakuga.engine.backend.network import Networks
from sakuga.engine.runtime.batcher import Batcher
from sakuga.engine.runtime.runner import Runner
from sakuga.engine.runtime.step_table import step_table
from sakuga.kernels.launch import Seat

BAR_PERCENT = 1.0


def measure(site: Site) -> Found:
    """Of one picture's steps: two rows, where the network is shortest."""
    network, step = _gpu_seconds(site)
    host = _host_seconds(site)
    chosen = choose(site)
    alone, whole = median(network), median(step)
    figures = [
        Figure("step outside the network", 100 * (whole - alone) / whole, "%", BAR_PERCENT,
               beside=f"{1e3 * whole:.3f} ms, its network alone {1e3 * alone:.3f} ms"),
        Figure("host, to put a step on the stream", 1e6 * median(host), "µs",
               beside=f"the GPU takes {1e6 * whole:.0f} µs for it"),
    ]  # fmt: skip
    samples = {"network_s": network, "step_s": step, "host_s": host}
    return Found(figures, chosen.said | samples)


def _gpu_seconds(site: Site) -> tuple[list[float], list[float]]:
    """The network alone, and network and kernel, on one lane."""
    chosen, driver = choose(site), site.make_driver()
    stream = driver.create_stream()
    arena, staging = Arena(driver, stream), Staging(driver, stream)
    load = chosen.make_loader()
    calls = Calls(driver, arena, lambda stream: load("unet", stream), graphs=True)
    networks, latent = Networks.of(chosen.bundle), site.slot_size.latent()
    previews = Previews(driver, stream)
    lane = CudaLane(
        driver, stream, staging, previews, networks, calls, latent, slots=1, call_rows=2,
        padding="captured",
    )  # fmt: skip
    slot = guided_slot(site.family, site.slot_size, site.scale.steps)
    settings = slot.settings
    weights = [[source.weight for source in row] for row in slot.rows]
    table = step_table(settings.table, weights, settings.noise, first_given=False)
    lane.start([Start(0, table, (0, 0))])
    seats, steps, block = [Seat(0, (0, 1))], [len(table) // 2], Block(1, 0, 2)
    lane.seat(seats, steps)

    def step() -> None:
        lane.evaluate(block)
        lane.step(seats, steps)

    # In turns, for a GPU's clock drifts.
    network: list[float] = []
    whole: list[float] = []
    for _ in range(2):
        network += timed(driver, stream, lambda: lane.evaluate(block), site.scale)
        whole += timed(driver, stream, step, site.scale)
    calls.unload()
    load.close()
    previews.close()
    lane.close()
    staging.close()
    arena.release()
    driver.close()
    return network, whole


def _host_seconds(site: Site) -> list[float]:
    """Of each settled step of the whole device, without the worker's pacing: nothing waits."""
    chosen = choose(site)
    device = chosen.device(site.make_driver(), chosen.options(rows=2))
    runner, batcher = Runner(device), Batcher(device.slots, device.rows)
    batcher.add(guided_slot(site.family, site.slot_size, site.scale.steps))
    seconds = []
    while batcher.waiting:
        start = perf_counter()
        batch = batcher.next()
        runner.run(batch)
        for slot in batcher.done(batch):
            device.leave(slot.latent, slot.place)
        seconds.append(perf_counter() - start)
    device.close()
    return seconds[2:]
