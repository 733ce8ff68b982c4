"""Upscalers on the played GPU: the processor's pictures, between steps, in little memory."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_made_upscalers import hand_made, scene, sharpener

from sakuga.engine.backend.cuda.device import CudaDevice
from sakuga.engine.backend.cuda.host_driver import HostDriver
from sakuga.engine.backend.cuda.options import CudaOptions
from sakuga.engine.bundle import Bundle
from sakuga.engine.engine import Engine
from sakuga.engine.manifest import MANIFEST
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.stages import Upscale
from sakuga.engine.runtime.tools import Tools
from sakuga.engine.upscaler_folder import UpscalerPlan
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import SDXL_TINY

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


class Open(CudaDevice):
    """One that can be looked into."""

    @property
    def has_upscaler(self) -> bool:
        return any(self._calls[name].loaded for name in self._upscalers())

    @property
    def picture_bytes(self) -> int:
        return self._pictures.size_bytes


@pytest.fixture
def device_and_engine(
    device_on: Callable[..., Any], sdxl_bundle: Bundle, upscalers: Path
) -> Callable[..., Any]:
    """An engine, and the device it has."""

    @contextmanager
    def opened(driver: HostDriver, **options: Any) -> Iterator[tuple[Engine, Open]]:  # noqa: ANN401
        devices: list[Open] = []

        def device() -> Open:
            chosen = CudaOptions(rows=4, **options)
            devices.append(device_on(sdxl_bundle, driver, chosen, kind=Open))
            return devices[0]

        tools = Tools.of(upscalers, None, SDXL_TINY)
        with Engine(sdxl_bundle, device, tools=tools) as engine:
            yield engine, devices[0]

    return opened


@pytest.fixture
def engine_with(device_and_engine: Callable[..., Any]) -> Callable[..., Any]:
    """The engine alone."""

    @contextmanager
    def opened(driver: HostDriver, **options: Any) -> Iterator[Engine]:  # noqa: ANN401
        with device_and_engine(driver, **options) as (engine, _):
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
    steps, seen, posted = list[int](), list[int](), threading.Event()

    def stepped(_: int, done: int, __: int) -> None:
        steps.append(done)
        assert posted.wait(WAIT_S)

    with engine_with(HostDriver()) as engine:
        ticket = engine.submit(
            Request("1girl", "", 128, 128, 30, 5.0, "euler", seed=1), on_step=stepped
        )
        found = engine.upscale(PICTURE, "planned", TARGET, lambda *_: seen.append(len(steps)))
        posted.set()
        assert np.array_equal(found.result(WAIT_S), wanted)
        ticket.result(WAIT_S)
    assert len(seen) > 2 and seen == sorted(set(seen))  # an evaluation between any two tiles


def test_a_picture_s_own_stage(engine_with: Callable[..., Any]) -> None:
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


REQUEST = Request("1girl", "", 128, 128, 3, 5.0, "euler", seed=1)


@pytest.mark.parametrize("options", [{"visitors": frozenset({"vae_decoder"})}, {"turns": True}])
def test_where_memory_is_short_it_comes_and_goes(
    device_and_engine: Callable[..., Any], wanted: np.ndarray[Any, Any], options: dict[str, Any]
) -> None:
    """All tiles in a turn, then the steps have the memory again, and no call is made smaller."""
    held: list[tuple[bool, int]] = []

    def look(*_: int) -> None:
        held.append((device.has_upscaler, device.picture_bytes))

    with device_and_engine(HostDriver(), **options) as (engine, device):
        picture = engine.render(REQUEST).pixels
        for _ in range(2):
            found = engine.upscale(PICTURE, "planned", TARGET).result(WAIT_S)
            assert np.array_equal(found, wanted)
            assert device.has_upscaler
            held.clear()
            assert np.array_equal(
                engine.submit(REQUEST, on_step=look).result(WAIT_S).pixels, picture
            )
            if "visitors" in options:  # gone before the first step, with all it worked in
                assert held[0] == (False, 0)
        assert device.rows == 4 and device.turn_s > 0


def test_memory_that_runs_out_takes_it_before_rows(
    device_and_engine: Callable[..., Any], wanted: np.ndarray[Any, Any]
) -> None:
    with device_and_engine(HostDriver()) as (engine, device):
        found = engine.upscale(PICTURE, "planned", TARGET).result(WAIT_S)
        assert np.array_equal(found, wanted) and device.turn_s == 0
        assert device.shrink() == 4 and not device.has_upscaler
        assert device.shrink() == 2  # nothing else was in the way
        found = engine.upscale(PICTURE, "planned", TARGET).result(WAIT_S)
        assert np.array_equal(found, wanted)
