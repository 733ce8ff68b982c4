"""A server under more load than it can take: what it refuses, what it still makes, how it answers.

    python bench/load.py [--seconds 60] [--clients 200] [--times 4]

Open loop on one machine: clients ask for pictures of 6 steps at `--times` what the engine can do,
whatever has become of earlier requests, and honour Retry-After. Beside them somebody asks
`/health/live` ten times a second. The tiny model, or --bundle.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import perf_counter, sleep

import httpx
from common import Figure, cores, report, small_model, work_folder

from sakuga.engine.engine import Engine
from sakuga.engine.runtime.request import Request

STEPS, SIDE = 6, 256
ALLOWED = {200, 429, 503}
BAR_GOODPUT, BAR_REJECT_MS, BAR_LIVE_MS, BAR_OVERHEAD_MS = 90.0, 150.0, 100.0, 5.0
MOST = 16  # pictures on their way


def body(seed: int) -> dict[str, object]:
    """A picture nobody asked for before."""
    return {"prompt": f"1girl, smile, number {seed}", "size": f"{SIDE}x{SIDE}", "seed": seed,
            "steps": STEPS}  # fmt: skip


def alone(bundle: Path, pictures: int) -> tuple[float, float]:
    """Pictures a second of a batch, and the seconds of one alone."""
    with Engine.open(bundle, threads=cores()) as engine:
        requests = [
            Request(str(body(n)["prompt"]), width=SIDE, height=SIDE, steps=STEPS, seed=n)
            for n in range(pictures + 2)
        ]
        list(engine.render_many(requests[:2]))
        start = perf_counter()
        list(engine.render_many(requests[2:]))
        rate = pictures / (perf_counter() - start)
        singles = []
        for request in requests[2:8]:
            start = perf_counter()
            engine.render(request).to_png()
            singles.append(perf_counter() - start)
        return rate, sorted(singles)[len(singles) // 2]


@dataclass
class Seen:
    """What clients saw: statuses, seconds until each refusal, of each probe, of each picture."""

    statuses: Counter[int] = field(default_factory=Counter)
    refused: list[float] = field(default_factory=list)
    live: list[float] = field(default_factory=list)
    transport_errors: int = 0


async def client(http: httpx.AsyncClient, seen: Seen, rate: float, until: float, seed: int) -> None:
    """Ask at `rate` a second, open loop, until then."""
    random, tasks, n = Random(seed), set[asyncio.Task[None]](), 0
    while (now := perf_counter()) < until:
        await asyncio.sleep(min(random.expovariate(rate), max(until - now, 0)))
        task = asyncio.create_task(ask(http, seen, seed * 100_000 + n))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        n += 1
    await asyncio.gather(*tasks)


async def ask(http: httpx.AsyncClient, seen: Seen, seed: int) -> None:
    """One request; refused, it comes again once, when it was told to."""
    for attempt in range(2):
        start = perf_counter()
        try:
            answer = await http.post("/v1/images/generations", json=body(seed))
        except httpx.TransportError:
            seen.transport_errors += 1
            return
        seen.statuses[answer.status_code] += 1
        if answer.status_code not in (429, 503):
            return
        seen.refused.append(perf_counter() - start)
        if attempt == 0:
            await asyncio.sleep(float(answer.headers["retry-after"]))


async def probe(http: httpx.AsyncClient, seen: Seen, until: float) -> None:
    """Ten times a second."""
    while perf_counter() < until:
        start = perf_counter()
        await http.get("/health/live")
        seen.live.append(perf_counter() - start)
        await asyncio.sleep(0.1)


async def storm(url: str, clients: int, seconds: float, rate: float) -> Seen:
    """All clients and the probe."""
    seen, until = Seen(), perf_counter() + seconds
    limits = httpx.Limits(max_connections=clients + 10, max_keepalive_connections=clients + 10)
    async with (
        httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as http,
        httpx.AsyncClient(base_url=url, timeout=30) as prober,
    ):
        each = [client(http, seen, rate / clients, until, number) for number in range(clients)]
        await asyncio.gather(probe(prober, seen, until), *each)
    return seen


class Server:
    """`sakuga serve` for the block."""

    def __init__(self, bundle: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port: int = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "sakuga", "serve", str(bundle), "--port", str(self.port)]
        self.process = subprocess.Popen(
            [*command, "--max-pictures", str(MOST)], stderr=subprocess.DEVNULL
        )

    def __enter__(self) -> "Server":
        for _ in range(1200):
            try:
                if httpx.get(f"{self.url}/health/ready").status_code == 200:
                    return self
            except httpx.TransportError:
                pass
            sleep(0.1)
        raise RuntimeError("the server does not become ready")

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0

    def resident_mib(self) -> float:
        """Of the HTTP process."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def counts_hold(self) -> bool:
        """accepted = completed + failed + cancelled + in flight."""
        found: dict[str, float] = {}
        for line in httpx.get(f"{self.url}/metrics").text.splitlines():
            if line.startswith("sakuga_pictures"):
                name, _, value = line.rpartition(" ")
                found[name] = float(value)
        total = {name.split('"')[1]: value for name, value in found.items() if '"' in name}
        over = total["completed"] + total["failed"] + total["cancelled"]
        return total["accepted"] == over + found["sakuga_pictures_in_flight"]


def overhead_ms(url: str, single_s: float) -> float:
    """Of a request over HTTP beside the engine alone, median of seven."""
    times = []
    with httpx.Client(base_url=url, timeout=60) as http:
        for n in range(8):
            start = perf_counter()
            http.post("/v1/images/generations", json=body(10_000_000 + n)).raise_for_status()
            times.append(perf_counter() - start)
    return 1e3 * (sorted(times[1:])[3] - single_s)


def percentile(values: list[float], share: float) -> float:
    """In milliseconds; 0 of nothing."""
    return 1e3 * sorted(values)[int(share * (len(values) - 1))] if values else 0.0


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--times", type=float, default=4, help="what the engine can do")
    parser.add_argument("--bundle", type=Path, help="instead of the demo model's")
    arguments = parser.parse_args()
    with work_folder() as folder:
        bundle = arguments.bundle or small_model("sdxl-tiny", folder)[1]
        rate, single_s = alone(bundle, 24)
        with Server(bundle) as server:
            over = overhead_ms(server.url, single_s)
            before = server.resident_mib()
            start = perf_counter()
            seen = asyncio.run(
                storm(server.url, arguments.clients, arguments.seconds, arguments.times * rate)
            )
            seconds = perf_counter() - start
            more_mib, holds = server.resident_mib() - before, server.counts_hold()
    others = {code: n for code, n in seen.statuses.items() if code not in ALLOWED}
    beside = json.dumps(dict(sorted(seen.statuses.items())))
    goodput = seen.statuses[200] / seconds
    figures = [
        Figure("goodput, of a batch alone", 100 * goodput / rate, "%", BAR_GOODPUT, "at least",
               f"{goodput:.2f} and {rate:.2f} pictures/s"),
        Figure("refusals, p99", percentile(seen.refused, 0.99), "ms", BAR_REJECT_MS, beside=beside),
        Figure("live probe, p99", percentile(seen.live, 0.99), "ms", BAR_LIVE_MS),
        Figure("transport errors", seen.transport_errors, "", 0),
        Figure("other statuses", sum(others.values()), "", 0),
        Figure("memory of the HTTP process, more", more_mib, "MiB", 32),
        Figure("counts that do not hold", int(not holds), "", 0),
        Figure("over HTTP beside the engine", over, "ms", BAR_OVERHEAD_MS,
               beside="keep-alive, base64 and JSON of a picture included"),
    ]  # fmt: skip
    report("load", figures, {"statuses": dict(seen.statuses), "seconds": seconds})


if __name__ == "__main__":
    main()
