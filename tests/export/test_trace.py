"""The graphs that ship are what the sources trace to, under the versions they were traced with."""

import lzma
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from sakuga.export.graph_files import GRAPHS, graph_of, graph_versions, read_graph
from sakuga.export.trace import trace, trace_all
from sakuga.profiles.families import FAMILIES, SDXL_TINY, TRACED
from sakuga.profiles.networks import networks

PINNED = all(version(package) == wanted for package, wanted in graph_versions().items())

pytestmark = pytest.mark.skipif(
    not PINNED, reason="traces are byte-equal only under the versions in versions.json"
)


@pytest.mark.parametrize("name", ["text_encoder_2", "vae_encoder"])
def test_small_graphs_are_current(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns of itself
        traced: Any = trace(SDXL_TINY, networks(SDXL_TINY)[name])
    shipped = read_graph("sdxl-tiny", name).SerializeToString(deterministic=True)
    assert traced.SerializeToString(deterministic=True) == shipped


@pytest.mark.slow
def test_all_graphs_are_current(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trace_all(TRACED, tmp_path)
    assert graph_versions(tmp_path) == graph_versions()
    names = sorted(path.relative_to(GRAPHS) for path in GRAPHS.rglob("*.xz"))
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.xz")) == names
    for name in names:  # what liblzma makes of equal graphs may differ between its versions
        shipped, traced = (lzma.decompress((f / name).read_bytes()) for f in (GRAPHS, tmp_path))
        assert shipped == traced, name


@pytest.mark.slow
def test_an_inpainting_unet_is_its_base_s_with_a_wider_first_convolution() -> None:
    family = FAMILIES["sdxl-tiny-inpaint"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced: Any = trace(family, networks(family)["unet"])
    derived = graph_of(family, "unet")
    assert traced.SerializeToString(deterministic=True) == derived.SerializeToString(
        deterministic=True
    )
