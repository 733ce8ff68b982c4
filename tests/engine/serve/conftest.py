"""A server with a real engine process, talked to over real sockets."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep

import httpx
import numpy as np
import pytest
from hand_made_upscalers import hand_made, sharpener
from yolo_files import yolo_file

from sakuga.engine.bundle import Bundle
from sakuga.engine.engine import Engine

WAIT_S = 60.0


QUICK = Path(__file__).with_name("quick_server.py")


class Server:
    """`sakuga serve` in a process of its own; `program`: what plays it."""

    def __init__(
        self, bundle: Path, folder: Path, *options: str, program: Sequence[str] = ("-m", "sakuga")
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "server.log"
        command = [sys.executable, *program, "serve", str(bundle), "--threads", "1"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port), *options], stderr=log
            )

    def ready(self) -> bool:
        """Whether it can render now."""
        try:
            return httpx.get(f"{self.url}/health/ready", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def wait_until_ready(self) -> "Server":
        """Itself, once it can render."""
        wait_for(self.ready, self.explain)
        return self

    def explain(self) -> str:
        """Its log."""
        return self.log.read_text("utf-8")

    def children(self) -> list[int]:
        """Processes it has started, engines first of all."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        pids = [int(pid) for task in tasks for pid in task.read_text().split()]
        return [pid for pid in pids if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def stop(self) -> int:
        """Told to; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def wait_for(true: Callable[[], bool], explain: Callable[[], str] = str) -> None:
    """Until it is."""
    until = monotonic() + WAIT_S
    while not true():
        assert monotonic() < until, explain()
        sleep(0.02)


def free_port() -> int:
    """One nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def serving(
    bundle: Path, folder: Path, *options: str, program: Sequence[str] = ("-m", "sakuga")
) -> Iterator[Server]:
    """A server for the block."""
    server = Server(bundle, folder, *options, program=program)
    try:
        yield server.wait_until_ready()
    finally:
        server.stop()
        for pid in server.children():
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="package")
def tools(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders with an upscaler of twice the size, `sharp`, and a detector, `face_yolov8n`, that
    finds one face in the middle of whatever it sees."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("upscalers", "detectors")}
    (folders["upscalers"] / "sharp.upscaler").mkdir()
    hand_made(folders["upscalers"] / "sharp.upscaler", sharpener(2))
    face = np.array([[32, 32, 24, 24, 0.9, 0.0]], np.float32).T[None]
    yolo_file(folders["detectors"] / "face_yolov8n.onnx", face)
    return folders


@pytest.fixture(scope="package")
def server(
    sdxl_bundle: Bundle, tools: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One that all these tests share; they leave nothing behind on it."""
    options = [each for name, path in tools.items() for each in (f"--{name}", str(path))]
    with serving(sdxl_bundle.path, tmp_path_factory.mktemp("server"), *options) as server:
        yield server


@pytest.fixture
def equipped(sdxl_bundle: Bundle, tools: dict[str, Path]) -> Iterator[Engine]:
    """An engine with the server's tools."""
    with Engine.open(sdxl_bundle.path, threads=1, **tools) as engine:  # type: ignore[arg-type]
        yield engine


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """Talks to it."""
    with httpx.Client(base_url=server.url, timeout=WAIT_S) as client:
        yield client


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """`until(true)`: waits for it."""
    return wait_for


@pytest.fixture
def serve(sdxl_bundle: Bundle, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """`serve(*options)`: a server of the test's own."""
    with ExitStack() as stack:
        yield lambda *options: stack.enter_context(serving(sdxl_bundle.path, tmp_path, *options))


@pytest.fixture
def serve_from(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """`serve_from(bundle, *options)`: the same of another bundle."""
    with ExitStack() as stack:
        yield lambda bundle, *options: stack.enter_context(serving(bundle, tmp_path, *options))


@pytest.fixture(scope="module")
def quick_server(sdxl_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One whose networks answer zeros at once, and that lets little in at a time."""
    folder, limits = tmp_path_factory.mktemp("quick"), ("--max-work", "30", "--max-pictures", "32")
    with serving(sdxl_bundle.path, folder, *limits, program=[str(QUICK)]) as server:
        yield server
