"""A server under more load than it can take: what it refuses, what it still makes, how it answers.

    python bench/load.py [--seconds 60] [--clients 200] [--times 4]

Open loop on one machine: clients ask for pictures of 6 steps at `--times` what the engine can do,
whatever has become of earlier requests, and honour Retry-After. Beside them somebody asks
`/health/live` ten times a second. Clients, HTTP process and engine share the cores, so what each of
them takes is told. The tiny model, or --bundle.
"""

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import perf_counter, process_time

from common import Figure, cores, report, small_model, work_folder
from serving.http_client import HttpClient
from serving.http_server import HttpServer, processor_s

from sakuga.engine.engine import Engine
from sakuga.engine.runtime.request import Request

STEPS, SIDE = 6, 256
ALLOWED = {200, 429, 503}
BAR_GOODPUT, BAR_REJECT_MS, BAR_LIVE_MS, BAR_MORE_MIB = 90.0, 150.0, 100.0, 32.0
MOST = 16  # pictures on their way


def body(seed: int) -> dict[str, object]:
    """A picture nobody asked for before."""
    return {"prompt": f"1girl, smile, number {seed}", "size": f"{SIDE}x{SIDE}", "seed": seed,
            "steps": STEPS}  # fmt: skip


@dataclass(frozen=True)
class Alone:
    """A batch with nothing beside it: pictures a second, as files, and the cores it took."""

    rate: float
    cores: float


def alone(bundle: Path, pictures: int) -> Alone:
    """Measure it."""
    with Engine.open(bundle, threads=cores()) as engine:
        requests = [
            Request(str(body(n)["prompt"]), width=SIDE, height=SIDE, steps=STEPS, seed=n)
            for n in range(pictures + 2)
        ]
        list(engine.render_many(requests[:2]))
        start, spent = perf_counter(), process_time()
        for picture in engine.render_many(requests[2:]):
            picture.to_png()
        seconds = perf_counter() - start
        return Alone(pictures / seconds, (process_time() - spent) / seconds)


@dataclass
class Seen:
    """What clients saw: statuses, seconds until each refusal and of each probe."""

    statuses: Counter[int] = field(default_factory=Counter)
    refused: list[float] = field(default_factory=list)
    live: list[float] = field(default_factory=list)
    transport_errors: int = 0


@dataclass(frozen=True)
class Shares:
    """Processor seconds of a second: of clients, HTTP process and engine."""

    clients: float
    http: float
    engine: float


async def client(http: HttpClient, seen: Seen, rate: float, until: float, seed: int) -> None:
    """Ask at `rate` a second, open loop, until then."""
    random, tasks, n = Random(seed), set[asyncio.Task[None]](), 0
    due = perf_counter() + random.expovariate(rate)
    while due < until:
        await asyncio.sleep(due - perf_counter())
        due += random.expovariate(rate)
        task = asyncio.create_task(ask(http, seen, seed * 100_000 + n))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        n += 1
    await asyncio.gather(*tasks)


async def ask(http: HttpClient, seen: Seen, seed: int) -> None:
    """One request; refused, it comes again once, when it was told to."""
    asked = json.dumps(body(seed)).encode()
    for attempt in range(2):
        start = perf_counter()
        try:
            answer = await http.post("/v1/images/generations", asked)
        except OSError:
            seen.transport_errors += 1
            return
        seen.statuses[answer.status] += 1
        if answer.status not in (429, 503):
            return
        seen.refused.append(perf_counter() - start)
        if attempt == 0:
            await asyncio.sleep(float(answer.headers["retry-after"]))


async def probe(http: HttpClient, seen: Seen, until: float) -> None:
    """Ten times a second."""
    while perf_counter() < until:
        start = perf_counter()
        await http.get("/health/live")
        seen.live.append(perf_counter() - start)
        await asyncio.sleep(0.1)


async def storm(port: int, clients: int, seconds: float, rate: float) -> Seen:
    """All clients and the probe."""
    seen, until = Seen(), perf_counter() + seconds
    http, prober = HttpClient(port), HttpClient(port)
    each = [client(http, seen, rate / clients, until, number) for number in range(clients)]
    await asyncio.gather(probe(prober, seen, until), *each)
    http.close()
    prober.close()
    return seen


def watched(server: HttpServer, clients: int, seconds: float, rate: float) -> tuple[Seen, Shares]:
    """A storm, and what it costs whom."""

    def spent() -> tuple[float, ...]:
        pids = server.process.pid, server.engine()
        return perf_counter(), process_time(), *map(processor_s, pids)

    before = spent()
    seen = asyncio.run(storm(server.port, clients, seconds, rate))
    wall, *parts = (after - earlier for after, earlier in zip(spent(), before, strict=True))
    return seen, Shares(*(part / wall for part in parts))


def percentile(values: list[float], share: float) -> float:
    """In milliseconds; 0 of nothing."""
    return 1e3 * sorted(values)[int(share * (len(values) - 1))] if values else 0.0


def figures(seen: Seen, shares: Shares, seconds: float, batch: Alone) -> Sequence[Figure]:
    """What is measured of a storm."""
    others = sum(n for code, n in seen.statuses.items() if code not in ALLOWED)
    beside = json.dumps(dict(sorted(seen.statuses.items())))
    goodput = seen.statuses[200] / seconds
    return [
        Figure("goodput, of a batch alone", 100 * goodput / batch.rate, "%", BAR_GOODPUT,
               "at least", f"{goodput:.2f} and {batch.rate:.2f} pictures/s"),
        Figure("refusals, median", percentile(seen.refused, 0.5), "ms"),
        Figure("refusals, p99", percentile(seen.refused, 0.99), "ms", BAR_REJECT_MS, beside=beside),
        Figure("live probe, p99", percentile(seen.live, 0.99), "ms", BAR_LIVE_MS),
        Figure("transport errors", seen.transport_errors, "", 0),
        Figure("other statuses", others, "", 0),
        Figure("cores the clients took", shares.clients, ""),
        Figure("cores the HTTP process took", shares.http, ""),
        Figure("cores the engine took", shares.engine, "", beside=f"{batch.cores:.2f} alone"),
    ]  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--times", type=float, default=4, help="what the engine can do")
    parser.add_argument("--bundle", type=Path, help="instead of the tiny model's")
    arguments = parser.parse_args()
    with work_folder() as folder:
        bundle = arguments.bundle or small_model("sdxl-tiny", folder)[1]
        batch = alone(bundle, 24)
        with HttpServer(bundle, "--max-pictures", str(MOST)) as server:
            asyncio.run(storm(server.port, 4, 2, batch.rate))  # what is loaded once is loaded now
            before, engine = server.resident_mib(), server.engine()
            start = perf_counter()
            seen, shares = watched(
                server, arguments.clients, arguments.seconds, arguments.times * batch.rate
            )
            seconds = perf_counter() - start
            found = [
                *figures(seen, shares, seconds, batch),
                Figure("memory of the HTTP process, more", server.resident_mib() - before, "MiB",
                       BAR_MORE_MIB),
                Figure("counts that do not hold", int(not server.counts_hold()), "", 0),
                Figure("engines that died", int(server.engine() != engine), "", 0),
            ]  # fmt: skip
    report("load", found, {"statuses": dict(seen.statuses), "seconds": seconds})


if __name__ == "__main__":
    main()
