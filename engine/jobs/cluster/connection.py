"""Ray, once it is asked for: the library, and a cluster to work on."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from logging import ERROR, getLogger
from typing import Any

from sakuga.engine.errors import MissingDependencyError, UsageError

_STORE_BYTES = 1 << 29  # of a cluster of our own: finished pictures lie there for a moment
_PATIENCE_S = 5.0  # Ray itself tries for minutes


def ray_library() -> Any:  # noqa: ANN401 (whether it carries types depends on its version)
    """Ray with Ray Data, its reports to its maker off unless the user turned them on.

    Raises MissingDependencyError.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingDependencyError(
            "Ray is not installed, or does not load.",
            note=f"{error}.",
            hint="Install it: pip install 'sakuga[ray]'",
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
        yield "Renders on the Ray cluster that this process is connected to."
        return
    told = _connect(ray, address)
    try:
        yield told
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str) -> str:  # noqa: ANN401
    if address == "local":
        return _start(ray)
    if address != "auto":
        _check_answers(address)
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except ConnectionError as error:
        if address == "auto" and not os.environ.get("RAY_ADDRESS"):
            return _start(ray)
        raise _no_cluster(address, str(error)) from error
    except (RuntimeError, ValueError) as error:
        raise _no_cluster(address, str(error)) from error
    return f"Renders on the Ray cluster {ray.get_runtime_context().gcs_address}."


def _start(ray: Any) -> str:  # noqa: ANN401
    ray.init(
        address="local",
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        object_store_memory=_STORE_BYTES,
    )
    return "No Ray cluster runs here: one of this machine alone was started for this rendering."


def _check_answers(address: str) -> None:
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdigit():
        raise UsageError(
            f"{address!r} is no address of a Ray cluster.",
            note="Pictures are gathered on a machine of the cluster; a Ray client beyond it cannot.",
            hint="Say --ray HOST:PORT, as `ray start --head` shows it, or --ray auto.",
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE_S).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, f"{host} says: {error}") from error


def _no_cluster(address: str, why: str) -> UsageError:
    return UsageError(
        f"There is no Ray cluster at {address} that this machine belongs to.",
        note=f"{why.strip().rstrip('.')}.",
        hint="Start one with `ray start --head`, join it from the other machines with `ray start "
        "--address HOST:PORT`, and run this on one of them.",
    )
