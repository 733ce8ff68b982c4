"""Pictures enlarged by an engine, with no pass of a sampler."""

import threading
from concurrent.futures import CancelledError
from pathlib import Path

import numpy as np
import pytest
from hand_made_upscalers import hand_made, scene, sharpener
from numpy.typing import NDArray

from sakuga.engine.bundle import Bundle
from sakuga.engine.engine import Engine
from sakuga.engine.errors import UsageError
from sakuga.profiles.buckets import Size

WAIT_S = 30


def test_as_the_upscaler_does_it(sdxl_engine: Engine) -> None:
    picture = scene(40, 30)
    found = sdxl_engine.upscale(picture, "nearest", Size(60, 80)).result(WAIT_S)
    assert np.array_equal(found, picture.repeat(2, axis=0).repeat(2, axis=1))
    with pytest.raises(UsageError, match="no upscaler"):
        sdxl_engine.upscale(picture, "nobody", Size(60, 80))


def test_tiles_are_told_and_it_can_be_stopped_between_them(
    sdxl_bundle: Bundle, tmp_path: Path
) -> None:
    hand_made(tmp_path / "small.upscaler", sharpener(2), tile=16, overlap=2)
    told: list[tuple[int, int]] = []
    begun, go_on = threading.Event(), threading.Event()

    def watch(tile: int, tiles: int) -> None:
        told.append((tile, tiles))
        begun.set()
        assert go_on.wait(WAIT_S)

    picture: NDArray[np.uint8] = scene(40, 30)
    with Engine.open(sdxl_bundle.path, threads=1, upscalers=tmp_path) as engine:
        found = engine.upscale(picture, "small", Size(60, 80), watch)
        assert begun.wait(WAIT_S) and found.cancel()
        go_on.set()
        engine.ping()
        assert told == [(0, told[0][1])] and told[0][1] > 1
        with pytest.raises(CancelledError):
            found.result(WAIT_S)
        engine.upscale(picture, "small", Size(60, 80), watch).result(WAIT_S)
        assert len(told) == 1 + told[0][1]
