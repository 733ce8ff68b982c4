"""Rows side by side: the same bits, whoever computes them."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest

from sakuga.engine.backend import onnx_networks
from sakuga.engine.backend.base import Array, Session
from sakuga.engine.backend.choose import processor
from sakuga.engine.backend.network import Networks, dtype_of, row_shape
from sakuga.engine.backend.onnx_networks import OnnxNetworks
from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.backend.side_by_side import SideBySide
from sakuga.engine.bundle import Bundle
from sakuga.engine.engine import Engine
from sakuga.engine.errors import RenderError
from sakuga.engine.runtime.request import Request


@pytest.fixture
def pool() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


def inputs_of(bundle: Bundle, rows: int) -> dict[str, Array]:
    random = np.random.default_rng(0)
    return {
        tensor.name: random.random((rows, *row_shape(tensor, (16, 20))), np.float32).astype(
            dtype_of(tensor)
        )
        for tensor in Networks.of(bundle).unet.inputs
    }


def test_every_row_is_what_it_is_with_all_threads(sdxl_bundle: Bundle, pool: Executor) -> None:
    graph = sdxl_bundle.graph("unet")
    opened, whole = [], OnnxSession(graph, 2)

    def together() -> Session:
        opened.append(whole)
        return whole

    network = SideBySide(OnnxSession(graph, 1), together, 2, pool)
    inputs = inputs_of(sdxl_bundle, 5)
    for rows in (2, 3, 5, 1, 1):
        some = {name: array[:rows] for name, array in inputs.items()}
        assert not opened or rows == 1
        assert np.array_equal(network.run(some)["noise_pred"], whole.run(some)["noise_pred"])
    assert opened == [whole]


class Failing:
    """Fails for a row of zeros; for others it takes until it is told."""

    def __init__(self) -> None:
        self.go_on, self.done = Event(), Event()

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        if not inputs["sample"].any():
            raise RenderError("no")
        self.go_on.wait()
        self.done.set()
        return {"noise_pred": inputs["sample"]}


def test_an_error_is_told_when_all_parts_have_ended(pool: Executor) -> None:
    """Who hears of it writes into the inputs."""
    session = Failing()
    network = SideBySide(session, lambda: session, 2, pool)
    with ThreadPoolExecutor(1) as caller:
        run = caller.submit(network.run, {"sample": np.array([[0.0], [1.0]])})
        assert not session.done.wait(0.05) and not run.done()
        session.go_on.set()
        with pytest.raises(RenderError):
            run.result()
    assert session.done.is_set()


@pytest.mark.parametrize("guidance", [7.0, 1.0])
def test_a_picture_is_the_same_with_any_number_of_threads(
    sdxl_bundle: Bundle, guidance: float
) -> None:
    wanted = Request("hat", "bad", width=128, height=160, steps=3, guidance=guidance, seed=5)
    pictures = []
    for threads in (1, 2):
        with Engine.open(sdxl_bundle.path, backend="onnx", threads=threads) as engine:
            pictures.append(engine.render(wanted).pixels)
    assert np.array_equal(*pictures)


def test_small_networks_alone_are_opened_twice(sdxl_bundle: Bundle) -> None:
    for threads, kind in ((1, OnnxSession), (2, SideBySide)):
        networks = OnnxNetworks(sdxl_bundle, threads)
        assert isinstance(networks("unet"), kind)
        assert isinstance(networks("vae_decoder"), OnnxSession)
        networks.close()


@pytest.mark.parametrize(("threads", "slots"), [(1, 1), (2, 4), (3, 4), (6, 6)])
def test_small_networks_have_places_for_every_core(
    sdxl_bundle: Bundle, monkeypatch: pytest.MonkeyPatch, threads: int, slots: int
) -> None:
    device = processor(sdxl_bundle, threads)
    assert device.slots == slots
    device.close()
    monkeypatch.setattr(onnx_networks, "_SMALL_BYTES", 0)
    device = processor(sdxl_bundle, threads)
    assert device.slots == 1  # a large one has one, whatever the cores
    device.close()
