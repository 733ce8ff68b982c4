"""Previews of the CUDA device, on a processor that plays a GPU: the processor's own, for nothing.

What a preview must not do is change a picture, make the host wait, or cost a picture its memory.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sakuga.engine.backend.base import Device, Pixels
from sakuga.engine.backend.cpu import CpuDevice
from sakuga.engine.backend.cuda.device import CudaDevice
from sakuga.engine.backend.cuda.driver import Buffer, PinnedBuffer
from sakuga.engine.backend.cuda.host_driver import HostDriver
from sakuga.engine.backend.network import Networks
from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.bundle import Bundle
from sakuga.engine.engine import Engine
from sakuga.engine.errors import DeviceMemoryError
from sakuga.engine.runtime.batcher import Batcher
from sakuga.engine.runtime.request import Defaults, Request
from sakuga.engine.runtime.resolve import resolve
from sakuga.engine.runtime.runner import Runner
from sakuga.engine.runtime.slot import RowSource, Slot
from sakuga.engine.runtime.ticket import Ticket
from sakuga.engine.text.conditioning import Conditioning
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import CHUNK, SDXL_TINY

EngineOn = Callable[..., AbstractContextManager[Engine]]
DeviceOn = Callable[[Bundle, HostDriver], CudaDevice]
Load = Callable[[Path], OnnxSession]
F32 = NDArray[np.float32]

SIZE, AREA = Size(128, 160), 16 * 20
SMALL = Request("1girl, green hair", "lowres", width=128, height=160, steps=4, seed=11)
WAIT_S = 60


class Sessions:
    """The networks of a bundle, loaded by somebody else."""

    def __init__(self, bundle: Bundle, load: Load) -> None:
        self._bundle, self._load = bundle, load

    def __call__(self, name: str) -> OnnxSession:
        return self._load(self._bundle.graph(name))

    def close(self) -> None:
        pass


def slot_of(seed: int, every: int, chunks: tuple[int, ...] = (1, 1), **wishes: Any) -> Slot:  # noqa: ANN401
    request = Request("", steps=4, seed=seed, **wishes)
    settings = resolve(request, SDXL_TINY, Defaults(SIZE), "epsilon")
    generator = np.random.default_rng(seed)
    weights = (settings.guidance, *(-0.5 for _ in chunks[1:]))
    sources = tuple(
        RowSource(
            Conditioning(
                generator.standard_normal((CHUNK * count, SDXL_TINY.unet.context), np.float32),
                generator.standard_normal(SDXL_TINY.pooled, np.float32),
            ),
            weight,
        )
        for count, weight in zip(chunks, weights, strict=True)
    )
    rows = (sources,) * settings.table.evaluations
    return Slot(seed, settings, lambda: rows, preview_every=every)


def slots(every: int = 1) -> list[Slot]:
    """With noise, with histories, with noise that is given, with longer prompts, with more rows
    than a call takes, and one that nobody watches."""
    return [
        slot_of(1, every, sampler="Euler a"),
        slot_of(2, every, sampler="DPM++ 3M SDE"),
        slot_of(3, 2 * every, sampler="DPM++ 2M SDE", rng="CPU"),
        slot_of(4, every, (2, 1), sampler="Heun"),
        slot_of(5, every, (1,) * 6, sampler="LMS"),
        slot_of(6, 0, (1,)),
    ]


def run(device: Device, pictures: list[Slot]) -> tuple[list[F32], dict[tuple[int, int], Pixels]]:
    """The final latents; the previews by (seed, evaluations done)."""
    batcher, runner = Batcher(device.slots, device.rows), Runner(device)
    latents: dict[Slot, F32] = {}
    futures = {}
    for slot in pictures:
        batcher.add(slot)
    while batcher.waiting:
        batch = batcher.next()
        shown = runner.run(batch)
        futures |= {(slot.ticket, slot.step + 1): future for slot, future in shown.items()}
        for slot in batcher.done(batch):
            latents[slot] = device.lane(slot.latent).latent(slot.place)
            device.leave(slot.latent, slot.place)
    runner.close()
    found = {key: future.result(WAIT_S) for key, future in futures.items()}
    device.close()
    return [latents[slot] for slot in pictures], found


@pytest.mark.parametrize("name", ["sdxl_bundle", "sdxl_fp16_bundle"])
def test_previews_are_those_of_the_processor_and_change_nothing(
    name: str, request: pytest.FixtureRequest, device_on: DeviceOn, load_network: Load
) -> None:
    bundle: Bundle = request.getfixturevalue(name)
    on_the_processor = CpuDevice(Networks.of(bundle), Sessions(bundle, load_network))
    _, wanted = run(on_the_processor, slots())
    watched, found = run(device_on(bundle, HostDriver()), slots())
    unwatched, none = run(device_on(bundle, HostDriver()), slots(every=0))
    assert found.keys() == wanted.keys() and none == {}
    assert {ticket for ticket, _ in found} == {1, 2, 3, 4, 5}
    assert len([key for key in found if key[0] == 3]) == 2
    for key, pixels in found.items():
        assert pixels.shape == (20, 16, 3) and pixels.dtype == np.uint8
        apart = np.abs(pixels.astype(int) - wanted[key])
        assert apart.max() <= 1 and (apart > 0).mean() < 0.01
    for one, other in zip(watched, unwatched, strict=True):
        assert np.array_equal(one, other)


def test_a_preview_is_one_launch_and_nobody_waits_for_it(
    device_on: DeviceOn, sdxl_bundle: Bundle
) -> None:
    driver = HostDriver()
    device = device_on(sdxl_bundle, driver)
    batcher, runner = Batcher(device.slots, device.rows), Runner(device)
    batcher.add(slot_of(1, 3, sampler="Euler"))
    batcher.add(slot_of(2, 1, sampler="Euler"))
    for _ in range(2):
        batch = batcher.next()
        runner.run(batch)
        batcher.done(batch)
    with driver._lock:  # so that no other thread runs what is put on a stream
        ran = len(driver.ran)
        driver.launches.clear()
        previews = runner.run(batcher.next())
        assert driver.launches == ["graph", *["preview_float"] * 2, "denoise_step_float"]
        assert len(driver.ran) == ran
        assert not any(preview.done() for preview in previews.values())
    first, second = (preview.result(WAIT_S) for preview in previews.values())
    assert not np.array_equal(first, second)
    runner.close()
    device.close()


class Tight(HostDriver):
    """Has no memory for previews, on the device or on the host."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self._where = where
        self.failures = 0

    def allocate(self, size_bytes: int) -> Buffer:
        self._fail("device", size_bytes)
        return super().allocate(size_bytes)

    def allocate_pinned(self, size_bytes: int) -> PinnedBuffer:
        self._fail("host", size_bytes)
        return super().allocate_pinned(size_bytes)

    def _fail(self, where: str, size_bytes: int) -> None:
        if where == self._where and size_bytes == 3 * AREA:
            self.failures += 1
            raise DeviceMemoryError("too little memory")


@pytest.mark.parametrize("where", ["device", "host"])
def test_no_memory_for_a_preview_is_no_failure_of_the_picture(
    device_on: DeviceOn, sdxl_bundle: Bundle, where: str
) -> None:
    (wanted,), _ = run(device_on(sdxl_bundle, HostDriver()), [slot_of(1, 0)])
    driver = Tight(where)
    device = device_on(sdxl_bundle, driver)
    batcher, runner = Batcher(device.slots, device.rows), Runner(device)
    batcher.add(slot := slot_of(1, 2))
    failed = []
    while batcher.waiting:
        batch = batcher.next()
        failed += [preview.exception(WAIT_S) for preview in runner.run(batch).values()]
        batcher.done(batch)
    assert [type(error) for error in failed] == [DeviceMemoryError] * 2 and driver.failures == 2
    assert np.array_equal(device.lane(slot.latent).latent(slot.place), wanted)
    runner.close()
    device.close()


def preview_of(ticket: Ticket) -> Pixels:
    """The only preview there will be, once it has come."""
    ticket.result(WAIT_S)
    end = monotonic() + WAIT_S
    while (pixels := ticket.preview()) is None and monotonic() < end:
        sleep(1e-3)
    assert pixels is not None
    return pixels


def test_whoever_asks_for_previews_gets_them(
    engine_on: EngineOn, load_network: Load, sdxl_bundle: Bundle
) -> None:
    asked = [replace(SMALL, seed=seed) for seed in (1, 2)]
    networks, sessions = Networks.of(sdxl_bundle), Sessions(sdxl_bundle, load_network)
    with Engine(sdxl_bundle, lambda: CpuDevice(networks, sessions)) as engine:
        wanted = [preview_of(engine.submit(one, preview_every=3)) for one in asked]
    with engine_on(sdxl_bundle, HostDriver()) as engine:
        tickets = [engine.submit(one, preview_every=3) for one in asked]
        unwatched = engine.submit(SMALL)
        found = [preview_of(ticket) for ticket in tickets]
        assert unwatched.result(WAIT_S) and unwatched.preview() is None
    for one, other in zip(found, wanted, strict=True):
        assert np.abs(one.astype(int) - other).max() <= 1
    assert not np.array_equal(found[0], found[1])
