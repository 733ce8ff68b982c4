"""Windows that a VAE's network takes: lengths of the graph, sizes of a device, room in memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.backend.vae_calls import PROCESSOR, Room, tile_for
from sakuga.engine.errors import SizeError
from sakuga.engine.manifest import NetworkEntry
from sakuga.export.network_graph import network_graphs
from sakuga.profiles.buckets import Size, SizeList, SizeRule
from sakuga.profiles.families import SD15, SDXL, SDXL_DEMO, Family

NAMES = ("vae_decoder", "vae_encoder")


def entry(family: Family, name: str) -> NetworkEntry:
    graphs = network_graphs(family, "onnx", "fp32")
    return next(graph.entry() for graph in graphs if graph.network.name == name)


ENTRIES = {(family.name, name): entry(family, name) for family in (SDXL, SD15) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
@given(st.integers(64, 700), st.integers(64, 700))
def test_windows_are_what_the_graph_takes(name: str, height: int, width: int) -> None:
    tile = tile_for(ENTRIES["sdxl", name], (height, width), room=PROCESSOR)
    for side, whole in zip(tile, (height, width), strict=True):
        assert 64 <= side <= min(256, whole) and side % 4 == 0
    if tile != (height, width):
        assert 64 * tile[0] * tile[1] <= PROCESSOR.window
        # As large as can be: a step more of either side would be too much.
        for bigger in ((tile[0] + 4, tile[1]), (tile[0], tile[1] + 4)):
            beyond = bigger[0] > height or bigger[1] > width or max(bigger) > 256
            assert beyond or 64 * bigger[0] * bigger[1] > PROCESSOR.window


@pytest.mark.parametrize("name", NAMES)
def test_what_fits_goes_whole(name: str) -> None:
    known = ENTRIES["sdxl", name]
    assert tile_for(known, (192, 192), room=PROCESSOR) == (192, 192)
    assert tile_for(known, (196, 192), room=PROCESSOR) == (128, 128)
    assert tile_for(known, (256, 256)) == (256, 256)
    assert tile_for(known, (512, 300)) == (256, 256)
    assert tile_for(known, (64, 400), room=PROCESSOR) == (64, 256)
    assert tile_for(known, (90, 100)) == (88, 100)
    assert tile_for(known, (400, 400), room=Room(0, 768 * 768)) == (96, 96)


@pytest.mark.parametrize("name", NAMES)
def test_a_device_has_sizes_of_its_own(name: str) -> None:
    known, buckets = ENTRIES["sdxl", name], SizeList(SDXL.buckets)
    assert tile_for(known, (152, 104), buckets) == (152, 104)
    assert tile_for(known, (192, 192), buckets) == (128, 128)
    assert tile_for(known, (300, 110), buckets) == (168, 96)
    between = SizeRule(640, 1536, 32)
    assert tile_for(known, (200, 90), between) == (192, 88)
    with pytest.raises(SizeError, match="104x152"):
        tile_for(known, (19, 13), buckets)


@pytest.mark.parametrize("latent", [(63, 200), (200, 12), (8, 8)])
def test_too_small_is_said(latent: tuple[int, int]) -> None:
    size = Size(8 * latent[1], 8 * latent[0])
    with pytest.raises(SizeError, match=f"{size} is too small") as caught:
        tile_for(ENTRIES["sdxl", "vae_encoder"], latent)
    assert "from 512 to 2048" in str(caught.value)


def test_a_family_of_steps_of_eight() -> None:
    assert tile_for(ENTRIES["sd15", "vae_encoder"], (33, 127)) == (33, 127)
    assert tile_for(entry(SDXL_DEMO, "vae_decoder"), (96, 96)) == (64, 64)
