"""The graphs that ship are what the sources trace to, under the versions they were traced with."""

import warnings
from importlib.metadata import version
from typing import Any

import onnx
import pytest

from sakuga.export.graph_files import graph_versions, read_graph
from sakuga.export.trace import trace
from sakuga.profiles.families import FAMILIES, SDXL_TINY, Family
from sakuga.profiles.networks import Network, networks

PINNED = all(version(package) == wanted for package, wanted in graph_versions().items())

QUICK = [
    pytest.param(SDXL_TINY, networks(SDXL_TINY)[name], id=f"sdxl-tiny-{name}")
    for name in ("text_encoder_2", "vae_decoder", "vae_encoder")
]
EVERYTHING = [
    pytest.param(family, network, id=f"{family.name}-{network.name}")
    for family in FAMILIES.values()
    for network in networks(family).values()
]

pytestmark = pytest.mark.skipif(
    not PINNED, reason="traces are byte-equal only under the versions in versions.json"
)


@pytest.mark.parametrize("family, network", QUICK)
def test_small_graphs_are_current(family: Family, network: Network) -> None:
    _check_current(family, network)


@pytest.mark.slow
@pytest.mark.parametrize("family, network", EVERYTHING)
def test_all_graphs_are_current(family: Family, network: Network) -> None:
    _check_current(family, network)


def _check_current(family: Family, network: Network) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns of itself
        traced: Any = trace(family, network)
    shipped: onnx.ModelProto = read_graph(family.name, network.name)
    assert traced.SerializeToString(deterministic=True) == shipped.SerializeToString(
        deterministic=True
    )
