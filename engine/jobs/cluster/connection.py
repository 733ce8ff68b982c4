"""Ray, once it is asked for: the library, and a cluster to work on."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from logging import ERROR, getLogger
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from sakuga.engine.errors import MissingDependencyError, UsageError, install_hint

_STORE_BYTES = 1 << 29  # of a cluster of our own: finished pictures lie there for a moment
_PATIENCE_S = 5.0  # Ray itself tries for minutes


def ray_library() -> Any:  # noqa: ANN401 (whether it carries types depends on its version)
    """Ray with Ray Data, its reports to its maker off unless the user turned them on.

    Raises MissingDependencyError.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray.data  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingDependencyError(
            "Ray is not installed, or does not load.",
            note=f"{error}.",
            hint=install_hint("ray"),
        ) from error
    return ray


@contextmanager
def connected(address: str) -> Iterator[str]:
    """A cluster for the block; in words, which one.

    `address`: HOST:PORT of a cluster that this machine belongs to; `auto` for the one that runs
    here, else one of this machine alone; `local` for the latter at once. A connection the process
    has already is used and stays. Raises UsageError where there is no such cluster.
    """
    ray = ray_library()
    getLogger("ray.data").setLevel(ERROR)  # it tells of each run's plan, as programmers like it
    if ray.is_initialized():
        yield _told(_check_same(ray, address))
        return
    told = _connect(ray, address)
    try:
        yield told
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str) -> str:  # noqa: ANN401
    if address == "auto":
        address = _running_here() or "local"
    if address == "local":
        return _start(ray)
    host, port = _parsed(address)
    if why := _silence(host, port):
        raise _no_cluster(address, f"{host} says: {why}")
    try:
        with _sigterm_kept():
            ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _no_cluster(address, str(error)) from error
    return _told(ray.get_runtime_context().gcs_address)


def _running_here() -> str | None:
    """The address that Ray's documentation of `auto` promises, None where nobody answers there:
    of a cluster that was killed it stays behind, and Ray would knock for a quarter of an hour."""
    if given := os.environ.get("RAY_ADDRESS"):
        return given
    usual = "/tmp" if sys.platform == "darwin" else gettempdir()
    folder = os.environ.get("RAY_TMPDIR", usual)
    try:
        address = (Path(folder) / "ray" / "ray_current_cluster").read_text("utf-8").strip()
        return None if _silence(*_parsed(address)) else address
    except (OSError, UsageError):
        return None


def _told(address: str) -> str:
    return f"Renders on the Ray cluster {address}."


def _check_same(ray: Any, address: str) -> str:  # noqa: ANN401
    here: str = ray.get_runtime_context().gcs_address
    if address not in ("auto", here):
        raise UsageError(
            f"This process is connected to another Ray cluster than {address}.",
            note=f"It is {here}.",
            hint="Say `auto`, or disconnect with ray.shutdown().",
        )
    return here


def _start(ray: Any) -> str:  # noqa: ANN401
    with _sigterm_kept():
        ray.init(
            address="local",
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            object_store_memory=_STORE_BYTES,
        )
    return "No Ray cluster runs here: one of this machine alone was started for this rendering."


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Ray takes the signal for itself; whoever had it before has it afterwards."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _parsed(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdecimal() or int(port) > 65535:
        raise UsageError(
            f"{address!r} is no address of a Ray cluster.",
            note="This must run on a machine of the cluster; a Ray client will not do.",
            hint="Say --ray HOST:PORT, as `ray start --head` shows it, or --ray auto.",
        )
    return host.strip("[]"), int(port)


def _silence(host: str, port: int) -> str:
    """Why nobody answers there, "" where somebody does."""
    try:
        socket.create_connection((host, port), _PATIENCE_S).close()
    except OSError as error:
        return str(error)
    return ""


def _no_cluster(address: str, why: str) -> UsageError:
    return UsageError(
        f"There is no Ray cluster at {address} that this machine belongs to.",
        note=f"{why.strip().rstrip('.')}.",
        hint="Start one with `ray start --head`, join it from the other machines with `ray start "
        "--address HOST:PORT`, and run this on one of them.",
    )
