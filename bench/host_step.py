"""What does the host spend on a step of the CUDA path? Everything but the driver and the networks.

    python bench/host_step.py [--rounds 40]

The real batcher, seats, runner, lane and device, on a driver and networks that do nothing. 28
steps of Euler a with guidance at 832x1216, paced as the worker paces them. The bar: 200 µs a step
with 16 rows, eight pictures, in steady state; two rows of SDXL cannot take an H200 less than 17 ms.
Beside it the same with a preview of every picture in every step; the first step, which starts
pictures and tells their prompts; and whole pictures through the worker, prompts known, decoding
included, as they come and go at different steps.
"""

import argparse
import cProfile
import pstats
from collections.abc import Sequence
from concurrent.futures import Future
from time import perf_counter
from typing import Any

from common import Figure, median, report
from gpu.slots import guided_slot
from no_op import NoOpDriver, NoOpLoader

from sakuga.engine.backend.base import Decoded, Device
from sakuga.engine.backend.cuda.device import CudaDevice
from sakuga.engine.backend.cuda.options import CudaOptions
from sakuga.engine.backend.network import Networks
from sakuga.engine.runtime.batcher import Batcher
from sakuga.engine.runtime.runner import Runner
from sakuga.engine.runtime.slot import Slot
from sakuga.engine.runtime.worker import Job, Worker
from sakuga.export.network_graph import network_graphs
from sakuga.kernels.preview import COLOURS
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import SDXL

BAR_MICROSECONDS = 200.0
SIZE, STEPS = Size(832, 1216), 28
ROWS = (2, 16)
SETTLED = 2  # the first run of a call binds, the second captures
PROFILED = 24  # functions of the profile that are kept


def sdxl_networks() -> Networks:
    """The borders of full-size SDXL as a build for TensorRT makes them; no weights."""
    entries = {
        graph.network.name: graph.entry() for graph in network_graphs(SDXL, "tensorrt", "fp16")
    }
    return Networks(entries, 1 / SDXL.vae.scaling_factor, COLOURS[SDXL.kind])


def device_for(networks: Networks, rows: int) -> CudaDevice:
    """The CUDA device with nothing below it."""
    return CudaDevice(NoOpDriver(), networks, NoOpLoader(), CudaOptions(rows))


def step_seconds(device: Device, runner: Runner, pictures: Sequence[Slot]) -> list[float]:
    """Seconds of each step of pictures that begin and end together."""
    batcher, seconds = Batcher(device.slots, device.rows), []
    for slot in pictures:
        batcher.add(slot)
    while batcher.waiting:
        start = perf_counter()
        batch = batcher.next()
        runner.run(batch)
        device.pace()
        finished = batcher.done(batch)
        seconds.append(perf_counter() - start)
        for slot in finished:
            device.leave(slot.latent, slot.place)
    return seconds


def measure(
    networks: Networks, rows: int, rounds: int, preview_every: int = 0
) -> dict[str, list[float]]:
    """Microseconds of first steps, of settled steps, and of all steps of a round on average."""
    device = device_for(networks, rows)
    runner, first, settled, mean = Runner(device), list[float](), list[float](), list[float]()
    for number in range(rounds + 1):
        pictures = [guided_slot(SDXL, SIZE, STEPS, n) for n in range(rows // 2)]
        for picture in pictures:
            picture.preview_every = preview_every
        seconds = step_seconds(device, runner, pictures)
        if number:  # the first round binds and captures
            first.append(1e6 * seconds[0])
            settled += [1e6 * second for second in seconds[SETTLED:]]
            mean.append(1e6 * sum(seconds) / len(seconds))
    device.close()
    return {"first_us": first, "settled_us": settled, "mean_us": mean}


def where_it_goes(networks: Networks, rows: int) -> list[dict[str, Any]]:
    """The functions that take the most of a settled step: microseconds a step, profiled."""
    device, profile = device_for(networks, rows), cProfile.Profile()
    runner, batcher = Runner(device), Batcher(device.slots, device.rows)
    for number in range(rows // 2):
        batcher.add(guided_slot(SDXL, SIZE, 1000, number))
    for count in range(900):
        if count == SETTLED:
            profile.enable()
        batch = batcher.next()
        runner.run(batch)
        device.pace()
        batcher.done(batch)
    profile.disable()
    steps, rows_of = 900 - SETTLED, pstats.Stats(profile).stats.items()  # type: ignore[attr-defined]
    found = [
        {"function": f"{name} ({file.rpartition('/')[2]}:{line})", "calls": calls / steps,
         "own_us": 1e6 * own / steps}
        for (file, line, name), (_, calls, own, _, _) in rows_of
    ]  # fmt: skip
    return sorted(found, key=lambda row: -float(row["own_us"]))[:PROFILED]


def through_the_worker(networks: Networks, rows: int, pictures: int) -> float:
    """Milliseconds of each picture where they come and go, all that a picture needs included."""
    worker = Worker(lambda: device_for(networks, rows))

    def render() -> float:  # of different steps, so that places are free at all times
        slots = [guided_slot(SDXL, SIZE, STEPS - index % 8, index) for index in range(pictures)]
        start = perf_counter()
        for result in [worker.submit(Job(slot, decoded)) for slot in slots]:
            result.result()
        return perf_counter() - start

    render()  # fills the pools
    seconds = render()
    worker.close()
    return 1e3 * seconds / pictures


def decoded(device: Device, slot: Slot) -> "Future[Decoded]":
    """What ends a picture."""
    return device.decode(slot.latent, slot.place, "truncate")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="pictures of 28 steps in each place")
    rounds = parser.parse_args().rounds
    networks = sdxl_networks()
    figures: list[Figure] = []
    details: dict[str, Any] = {}
    for rows in ROWS:
        found = details[f"{rows} rows"] = measure(networks, rows, rounds)
        settled, bar = found["settled_us"], BAR_MICROSECONDS if rows == max(ROWS) else None
        figures += [
            Figure(f"a step, {rows} rows", median(settled), "µs", bar,
                   beside=f"least {min(settled):.0f} µs of {len(settled)}"),
            Figure(f"first step, {rows} rows", median(found["first_us"]), "µs"),
            Figure(f"a step, starts included, {rows} rows", median(found["mean_us"]), "µs"),
        ]  # fmt: skip
    shown = details["16 rows, previews"] = measure(networks, max(ROWS), max(rounds // 8, 1), 1)
    figures.append(Figure("a step, a preview of each, 16 rows", median(shown["settled_us"]), "µs"))
    whole = through_the_worker(networks, max(ROWS), 8 * rounds)
    figures.append(Figure("a picture, as they come and go", whole, "ms", beside="mean, decoded"))
    profile = where_it_goes(networks, max(ROWS))
    for row in profile:
        print(f"{row['own_us']:7.1f} µs  {row['calls']:6.1f} calls  {row['function']}")
    report("host_step", figures, {"samples": details, "profile": profile})


if __name__ == "__main__":
    main()
