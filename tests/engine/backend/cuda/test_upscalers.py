"""Upscalers on the played GPU: the processor's pictures, between steps, in little memory."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_made_upscalers import hand_made, scene, sharpener

from sakuga.engine.backend.cuda.device import CudaDevice, CudaOptions
from sakuga.engine.backend.cuda.host_driver import HostDriver
from sakuga.engine.bundle import Bundle
from sakuga.engine.engine import Engine
from sakuga.engine.manifest import MANIFEST
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.stages import Upscale
from sakuga.engine.upscaler_folder import UpscalerPlan
from sakuga.profiles.buckets import Size

WAIT_S = 60
PICTURE = scene(100, 130)
TARGET = Size(230, 180)
# Its file is never read: the played GPU runs the graph.
PLAN = UpscalerPlan("onnx/upscaler/model.onnx", "rtx", "1", ("any",), None, "float32", 1, 64, 0)


@pytest.fixture
def upscalers(tmp_path: Path) -> Path:
    """One with a plan, one without."""
    for name in ("planned", "unplanned"):
        folder = hand_made(tmp_path / f"{name}.upscaler", sharpener(2), tile=64, overlap=8)
        if name == "planned":
            manifest = replace(folder.manifest, plan=PLAN)
            (folder.path / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    return tmp_path


@pytest.fixture
def engine_with(
    device_on: Callable[..., CudaDevice], sdxl_bundle: Bundle, upscalers: Path
) -> Callable[..., Any]:
    @contextmanager
    def opened(driver: HostDriver, **options: Any) -> Iterator[Engine]:  # noqa: ANN401
        def device() -> CudaDevice:
            return device_on(sdxl_bundle, driver, CudaOptions(rows=4, **options))

        with Engine(sdxl_bundle, device, upscalers=upscalers) as engine:
            yield engine

    return opened


@pytest.fixture
def wanted(sdxl_bundle: Bundle, upscalers: Path) -> np.ndarray[Any, Any]:
    """By the processor."""
    with Engine.open(sdxl_bundle.path, threads=1, upscalers=upscalers) as engine:
        return engine.upscale(PICTURE, "planned", TARGET).result(WAIT_S)


@pytest.mark.parametrize("options", [{}, {"graphs": False, "overlap": False}, {"turns": True}])
def test_the_processor_s_pictures(
    engine_with: Callable[..., Any], wanted: np.ndarray[Any, Any], options: dict[str, bool]
) -> None:
    driver = HostDriver()
    with engine_with(driver, **options) as engine:
        for _ in range(2):  # the second by a captured graph
            found = engine.upscale(PICTURE, "planned", TARGET).result(WAIT_S)
            assert np.array_equal(found, wanted)
    assert ("graph" in driver.launches) == options.get("graphs", True)


def test_steps_go_on_between_tiles(
    engine_with: Callable[..., Any], wanted: np.ndarray[Any, Any]
) -> None:
    steps: list[int] = []
    seen: list[int] = []
    with engine_with(HostDriver()) as engine:
        ticket = engine.submit(
            Request("1girl", "", 128, 128, 30, 5.0, "euler", seed=1),
            on_step=lambda _, done, total: steps.append(done),
        )
        found = engine.upscale(PICTURE, "planned", TARGET, lambda *_: seen.append(len(steps)))
        assert np.array_equal(found.result(WAIT_S), wanted)
        ticket.result(WAIT_S)
    assert len(seen) > 2 and seen == sorted(set(seen))  # an evaluation between any two tiles


def test_a_picture_s_own_stage(engine_with: Callable[..., Any], sdxl_engine: Engine) -> None:
    plain = Request("1girl", "", 128, 128, 3, 5.0, "euler", seed=1)
    with engine_with(HostDriver()) as engine:
        picture = engine.render(replace(plain, stages=(Upscale("planned", 2),)))
        first = engine.render(plain)
        alone = engine.upscale(first.pixels, "planned", Size(256, 256)).result(WAIT_S)
    assert np.array_equal(picture.pixels, alone)


def test_one_without_a_plan_runs_on_the_processor_and_is_told(
    engine_with: Callable[..., Any],
    wanted: np.ndarray[Any, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "sakuga"), engine_with(HostDriver()) as engine:
        for _ in range(2):
            found = engine.upscale(PICTURE, "unplanned", TARGET).result(WAIT_S)
            assert np.array_equal(found, wanted)
    said = [each.getMessage() for each in caplog.records]
    assert len(said) == 1 and "The processor runs it." in said[0]


def test_where_memory_is_short_it_makes_room_and_visits(
    engine_with: Callable[..., Any], wanted: np.ndarray[Any, Any]
) -> None:
    """Whatever else was made gives way, and it is not kept where others only visit."""
    request = Request("1girl", "", 128, 128, 3, 5.0, "euler", seed=1)
    driver = HostDriver()
    free = driver.free_bytes()
    with engine_with(driver) as engine:
        picture = engine.render(request).pixels
        used = free - driver.free_bytes()
    driver = HostDriver(memory_bytes=used + (100 << 10))
    visitors = frozenset({"vae_decoder"})
    with engine_with(driver, visitors=visitors) as engine:
        for _ in range(2):
            assert np.array_equal(engine.render(request).pixels, picture)
            found = engine.upscale(PICTURE, "planned", TARGET).result(WAIT_S)
            assert np.array_equal(found, wanted)
