"""Hires passes to another shape: A1111 covers the target and cuts off what is over."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from sakuga.engine.engine import Engine
from sakuga.engine.runtime.later import covering
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.stages import Hires
from sakuga.profiles.buckets import Size

FIRST = Request("1girl, green hair", "lowres", 128, 160, 3, 5.0, "euler", seed=11)


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


@pytest.mark.parametrize("upscaler", ["latent-nearest-exact", "lanczos", "nearest"])
def test_a_hires_pass_of_another_shape_is_cut_and_not_stretched(
    sdxl_engine: Engine, upscaler: str
) -> None:
    """With little strength it is the middle of the picture that covers it, about."""
    hires = Hires(size=Size(192, 160), upscaler=upscaler, strength=0.01)
    found = sdxl_engine.render(replace(FIRST, stages=(hires,))).pixels.astype(int)
    covered = Hires(size=Size(192, 240), upscaler=upscaler, strength=0.01)
    whole = sdxl_engine.render(replace(FIRST, stages=(covered,))).pixels.astype(int)
    stretched = np.asarray(Image.fromarray(whole.astype(np.uint8)).resize((192, 160)), int)
    assert found.shape == (160, 192, 3)
    inner = slice(16, 144), slice(16, 176)  # at its edge the VAE sees something else
    apart = [np.abs(found[inner] - each[inner]).mean() for each in (whole[40:200], stretched)]
    assert apart[0] < 0.3 * apart[1]


def test_a_hires_pass_that_is_left_at_the_upscaler_s_is_cut_too(sdxl_engine: Engine) -> None:
    hires = Hires(size=Size(192, 160), upscaler="nearest", strength=0)
    found = sdxl_engine.render(replace(FIRST, stages=(hires,))).pixels
    plain = Image.fromarray(sdxl_engine.render(FIRST).pixels)
    whole = np.asarray(plain.resize((192, 240), Image.Resampling.NEAREST))
    assert np.array_equal(found, whole[40:200])
