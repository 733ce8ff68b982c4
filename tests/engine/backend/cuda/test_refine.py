"""Pictures that begin from a picture, masked or not, on the played GPU: the processor's."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest

from sakuga.engine.backend.cuda.host_driver import HostDriver
from sakuga.engine.bundle import Bundle
from sakuga.engine.engine import Engine
from sakuga.engine.image.source import Source
from sakuga.engine.refine.fill import Fill
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.stages import Hires, Init, Mask

EngineOn = Callable[..., AbstractContextManager[Engine]]


def asked(compat: str, sampler: str, masked: bool) -> Request:
    pixels = np.random.default_rng(3).integers(0, 256, (128, 160, 3)).astype(np.uint8)
    drawn = np.zeros((128, 160), np.uint8)
    drawn[30:90, 40:110] = 255
    mask = Mask(Source.of(drawn), fill=Fill.NOISE) if masked else None
    return Request(
        "1girl, sweater", "nsfw", 160, 128, 4, 5.0, sampler, seed=7, compat=compat,
        init=Init(Source.of(pixels), 0.7, mask=mask),
    )  # fmt: skip


CASES = [
    ("a1111", "euler_a", False),
    ("a1111", "euler_a", True),
    ("a1111", "ddim", True),
    ("comfy", "dpmpp_2m", True),
    ("diffusers", "euler_a", True),
]


def test_they_are_the_processor_s(
    sdxl_bundle: Bundle, sdxl_engine: Engine, engine_on: EngineOn
) -> None:
    requests = [asked(*case) for case in CASES]
    with engine_on(sdxl_bundle, HostDriver()) as engine:
        found = {picture.index: picture.pixels for picture in engine.render_many(requests)}
    for index, request in enumerate(requests):
        wanted = sdxl_engine.render(request).pixels.astype(int)
        apart = np.abs(found[index].astype(int) - wanted)
        assert apart.max() <= 1, CASES[index]


@pytest.mark.parametrize("upscaler", ["latent", "lanczos"])
def test_a_hires_pass_is_the_processor_s(
    sdxl_bundle: Bundle, sdxl_engine: Engine, engine_on: EngineOn, upscaler: str
) -> None:
    request = Request(
        "1girl", "nsfw", 128, 128, 3, 5.0, "euler", seed=7,
        stages=(Hires(1.25, upscaler=upscaler, strength=0.5),),
    )  # fmt: skip
    with engine_on(sdxl_bundle, HostDriver()) as engine:
        found = engine.render(request).pixels.astype(int)
    assert found.shape == (160, 160, 3)
    assert np.abs(found - sdxl_engine.render(request).pixels).max() <= 1
