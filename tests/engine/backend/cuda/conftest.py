"""Engines on a processor that plays a GPU as unkindly as CUDA allows."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sakuga.engine.backend.cuda.device import CudaDevice
from sakuga.engine.backend.cuda.driver import Stream
from sakuga.engine.backend.cuda.host_driver import HostDriver, HostSession
from sakuga.engine.backend.cuda.loading import Load
from sakuga.engine.backend.cuda.options import CudaOptions
from sakuga.engine.backend.cuda.session import DeviceSession
from sakuga.engine.backend.network import Networks
from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.bundle import Bundle
from sakuga.engine.engine import Engine
from sakuga.engine.errors import PlanMismatchError
from sakuga.engine.upscaler_folder import UpscalerFolder

Change = Callable[[str, HostSession], DeviceSession]


@cache
def network(graph: Path) -> OnnxSession:
    """Loaded once for all tests: loading takes longer than what most of them do."""
    return OnnxSession(graph, 1)


class HostLoader:
    """Networks on ONNX Runtime's processor. `change`: what to run instead, given a network's name
    and itself. `scratch_bytes`: working memory of each row, by network. Upscalers that say they
    have a plan have one."""

    name = "host"

    def __init__(self, bundle: Bundle, change: Change, scratch_bytes: dict[str, int]) -> None:
        self._bundle, self._change, self._scratch_bytes = bundle, change, scratch_bytes

    def __call__(self, name: str, stream: Stream) -> DeviceSession:
        session = HostSession(
            network(self._bundle.graph(name)), self._scratch_bytes.get(name, 1 << 16)
        )
        return self._change(name, session)

    def upscaler(self, folder: UpscalerFolder) -> Load:
        if folder.manifest.plan is None:
            raise PlanMismatchError("It has no plan.")
        return lambda stream: HostSession(network(folder.graph("float32")), 1 << 16)

    def close(self) -> None:
        pass


@pytest.fixture(scope="session")
def load_network() -> Callable[[Path], OnnxSession]:
    """The network of a graph on ONNX Runtime's processor."""
    return network


def open_device(
    bundle: Bundle,
    driver: HostDriver,
    options: CudaOptions = CudaOptions(rows=4),  # noqa: B008 (it is frozen)
    change: Change = lambda name, session: session,
    kind: type[CudaDevice] = CudaDevice,
    **scratch_bytes: int,
) -> CudaDevice:
    """See `HostLoader`."""
    load = HostLoader(bundle, change, scratch_bytes)
    return kind(driver, Networks.of(bundle), load, options)


@pytest.fixture(scope="session")
def device_on() -> Callable[..., CudaDevice]:
    """`device_on(bundle, driver, options)`: the device of a bundle on that driver."""
    return open_device


@pytest.fixture(scope="session")
def engine_on() -> Callable[..., AbstractContextManager[Engine]]:
    """The same as an engine."""

    @contextmanager
    def open_engine(bundle: Bundle, *given: Any, **named: Any) -> Iterator[Engine]:  # noqa: ANN401
        with Engine(bundle, lambda: open_device(bundle, *given, **named)) as engine:
            yield engine

    return open_engine
