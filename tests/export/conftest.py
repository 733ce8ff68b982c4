"""A VAE of sdxl-tiny whose values can be made as large as those of the stock SDXL VAE."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sakuga.engine.backend.base import Array
from sakuga.export.bind import MODEL_FILE, bind
from sakuga.export.checkpoint.layouts import open_checkpoint
from sakuga.export.graph_files import read_graph
from sakuga.export.network_graph import network_graphs
from sakuga.export.precision import Precision, in_precision
from sakuga.profiles.families import SDXL_TINY
from sakuga.profiles.networks import networks

BoundVae = Callable[[str, Precision, float], Path]

# The first layers of both halves; the norms behind them bring the picture back to its range.
FIRST = ("post_quant_conv", "decoder.conv_in", "encoder.conv_in")


class Weights:
    """The weights of a component, in memory."""

    def __init__(self, values: dict[str, Array]) -> None:
        self._values = values

    def read(self, name: str) -> Array:
        return self._values[name]


@pytest.fixture(scope="session")
def vae_weights(sdxl_file: Path) -> Weights:
    """The VAE of sdxl-tiny in float32."""
    with open_checkpoint(sdxl_file) as checkpoint:
        vae = checkpoint.components["vae"]
        return Weights({name: vae.read(name) for name in vae.names()})


@pytest.fixture(scope="session")
def plan_unet(sdxl_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The UNet of sdxl-tiny in float16, bound, as a plan is built from it."""
    graphs = network_graphs(SDXL_TINY, "rtx", "fp16")
    (graph,) = (each for each in graphs if each.network.name == "unet")
    folder = tmp_path_factory.mktemp("plan") / "unet"
    with open_checkpoint(sdxl_file) as checkpoint:
        tensors = checkpoint.components["unet"]
        bind(graph.model, tensors, folder, lambda name, values: values, lambda written: None)
    return folder / MODEL_FILE


@pytest.fixture
def bound_vae(vae_weights: Weights, tmp_path: Path) -> BoundVae:
    """`bound_vae(network, precision, gain)`: its graph, first layers scaled up by the gain."""

    def bound(network: str, precision: Precision, gain: float) -> Path:
        def louder(name: str, values: Array) -> Array:
            return values * np.float32(gain) if name.startswith(FIRST) else values

        graph = read_graph(SDXL_TINY.name, network)
        model = in_precision(graph, networks(SDXL_TINY)[network], precision)
        folder = tmp_path / f"{network}-{precision}-{gain:g}"
        bind(model, vae_weights, folder, louder, lambda written: None)
        return folder / MODEL_FILE

    return bound
