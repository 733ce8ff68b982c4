"""Hires passes to another shape: A1111 covers the target and cuts off what is over."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from sakuga.engine.backend.base import Latent
from sakuga.engine.engine import Engine
from sakuga.engine.errors import UsageError
from sakuga.engine.runtime.later import covering
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.settings import Settings
from sakuga.engine.runtime.slot import Beginning
from sakuga.engine.runtime.stages import Hires
from sakuga.engine.runtime.studio import Studio
from sakuga.profiles.buckets import Size

FIRST = Request("1girl, green hair", "lowres", 128, 128, 3, 5.0, "euler", seed=11)


@pytest.mark.parametrize(
    ("size", "target", "whole"),
    [
        (Size(832, 1216), Size(1216, 1792), Size(1226, 1792)),
        (Size(832, 1216), Size(1248, 1248), Size(1248, 1824)),
        (Size(832, 1216), Size(1248, 1824), Size(1248, 1824)),
        (Size(128, 160), Size(192, 160), Size(192, 240)),
    ],
)
def test_a_hires_pass_covers_its_target(size: Size, target: Size, whole: Size) -> None:
    assert covering(size, target) == whole


@pytest.mark.parametrize("upscaler", ["latent-nearest-exact", "lanczos"])
def test_a_pass_of_another_shape_begins_from_the_middle(
    sdxl_engine: Engine, upscaler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the very latent that a pass over all of it begins from."""
    begun: list[Latent] = []

    real = Studio.from_latent

    def watched(studio: Studio, latent: Latent, settings: Settings) -> Beginning:
        begun.append(latent)
        return real(studio, latent, settings)

    monkeypatch.setattr(Studio, "from_latent", watched)
    for size in (Size(160, 128), Size(160, 160)):
        hires = Hires(size=size, upscaler=upscaler, strength=0.5, steps=1)
        picture = sdxl_engine.render(replace(FIRST, stages=(hires,)))
        assert picture.pixels.shape == (size.height, size.width, 3)
    cut, whole = begun
    assert cut.shape == (4, 16, 20) and np.array_equal(cut, whole[:, 2:18])


def test_a_hires_pass_that_is_left_at_the_upscaler_s_is_cut_too(sdxl_engine: Engine) -> None:
    hires = Hires(size=Size(160, 128), upscaler="nearest", strength=0)
    found = sdxl_engine.render(replace(FIRST, stages=(hires,))).pixels
    plain = Image.fromarray(sdxl_engine.render(FIRST).pixels)
    whole = np.asarray(plain.resize((160, 160), Image.Resampling.NEAREST))
    assert np.array_equal(found, whole[16:144])


def test_tiles_of_another_shape(sdxl_engine: Engine) -> None:
    hires = Hires(size=Size(640, 136), upscaler="lanczos", strength=0.3, steps=1)
    request = replace(FIRST, width=160, stages=(hires,))
    (later,) = sdxl_engine.resolve(request).later
    assert later.whole == Size(640, 512) and later.tiles > 1
    assert sdxl_engine.render(request).pixels.shape == (136, 640, 3)


@pytest.mark.parametrize("upscaler", ["latent", "lanczos"])
def test_a_whole_that_is_no_multiple_of_eight(sdxl_engine: Engine, upscaler: str) -> None:
    hires = Hires(size=Size(128, 192), upscaler=upscaler, strength=0.5)
    request = replace(FIRST, width=192, height=160, stages=(hires,))
    assert sdxl_engine.resolve(request).later[0].whole == Size(230, 192)
    assert sdxl_engine.render(request).pixels.shape == (192, 128, 3)


def test_a_whole_that_is_too_large_is_told(sdxl_engine: Engine) -> None:
    with pytest.raises(UsageError, match="is too large") as caught:
        hires = Hires(size=Size(16000, 128), upscaler="lanczos")
        sdxl_engine.resolve(replace(FIRST, stages=(hires,)))
    assert "The hires pass to 16000x128 enlarges to it first." in caught.value.note
    assert "shape" in caught.value.hint
