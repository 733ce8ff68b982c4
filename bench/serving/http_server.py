"""`sakuga serve` in a process of its own, and what it costs."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import httpx

_WAIT_S = 120.0


class HttpServer:
    """The server of a bundle, for the block."""

    def __init__(self, bundle: Path, *options: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port: int = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "sakuga", "serve", str(bundle), "--port", str(self.port)]
        self.process = subprocess.Popen([*command, *options], stderr=subprocess.DEVNULL)

    def __enter__(self) -> "HttpServer":
        until = monotonic() + _WAIT_S
        while not self.ready():
            if monotonic() > until or self.process.poll() is not None:
                self.process.kill()
                raise RuntimeError("the server does not become ready")
            sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(_WAIT_S) == 0

    def ready(self) -> bool:
        """Whether it can render now."""
        try:
            return httpx.get(f"{self.url}/health/ready", timeout=30).status_code == 200
        except httpx.TransportError:
            return False

    def engine(self) -> int:
        """The process of its engine."""
        (pid,) = _engines(self.process.pid)
        return pid

    def resident_mib(self) -> float:
        """Of the HTTP process."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def counts(self) -> dict[str, float]:
        """Pictures by what became of them, and `in_flight`."""
        found: dict[str, float] = {}
        for line in httpx.get(f"{self.url}/metrics").text.splitlines():
            if line.startswith("sakuga_pictures_"):
                name, _, value = line.rpartition(" ")
                found[name.split('"')[1] if '"' in name else "in_flight"] = float(value)
        return found

    def counts_hold(self) -> bool:
        """accepted = completed + failed + cancelled + in flight."""
        found = self.counts()
        over = found["completed"] + found["failed"] + found["cancelled"]
        return found["accepted"] == over + found["in_flight"]


def processor_s(pid: int) -> float:
    """Seconds of processor time a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _engines(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                yield child
