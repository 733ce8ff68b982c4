"""A batch on a device: what the network is given, and what becomes of what it says."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sakuga.engine.backend.cpu import CpuDevice
from sakuga.engine.bundle import Bundle
from sakuga.engine.runtime.batcher import Batch, OneAtATime, calls_of
from sakuga.engine.runtime.loop import Loop
from sakuga.engine.runtime.request import Defaults, Request, resolve
from sakuga.engine.runtime.runner import Runner
from sakuga.engine.runtime.slot import RowSource, Slot
from sakuga.engine.text.conditioning import Conditioning
from sakuga.kernels.philox import normals
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import CHUNK, SDXL_TINY

Arrays = dict[str, NDArray[Any]]


class Echo:
    """A UNet that answers a tenth of its sample, and remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[Arrays] = []

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        self.calls.append({name: array.copy() for name, array in inputs.items()})
        return {"noise_pred": inputs["sample"] * inputs["sample"].dtype.type(0.1)}


@pytest.fixture
def device() -> Iterator[CpuDevice]:
    device = CpuDevice()
    yield device
    device.close()


def conditioning(seed: int, chunks: int = 1) -> Conditioning:
    generator = np.random.default_rng(seed)
    states = generator.standard_normal((CHUNK * chunks, SDXL_TINY.unet.context), np.float32)
    return Conditioning(states, generator.standard_normal(SDXL_TINY.pooled, np.float32))


def slot_of(ticket: int, request: Request, *chunks: int) -> Slot:
    settings = resolve(request, SDXL_TINY, Defaults(Size(160, 128)), "epsilon")
    weights = (1.0,) if len(chunks) == 1 else (settings.guidance, 1 - settings.guidance)
    sources = (
        RowSource(conditioning(10 * ticket + index, count), weight)
        for index, (count, weight) in enumerate(zip(chunks, weights, strict=True))
    )
    return Slot(ticket, settings, tuple(sources))


@pytest.mark.parametrize("name", ["sdxl_bundle", "sdxl_fp16_bundle"])
def test_the_network_gets_what_its_border_says(
    device: CpuDevice, name: str, request: pytest.FixtureRequest
) -> None:
    bundle: Bundle = request.getfixturevalue(name)
    entry, unet, batcher = bundle.manifest.networks["unet"], Echo(), OneAtATime()
    slot = slot_of(0, Request("", steps=3, seed=4), 1, 1)
    batcher.add(slot)
    Loop(batcher, Runner(device, unet, entry, slots=1)).tick()
    (call,) = unet.calls
    dtype = {tensor.name: tensor.dtype for tensor in entry.inputs}
    assert {name: array.dtype.name for name, array in call.items()} == dtype
    first = normals(4, 0, 4 * 16 * 20).reshape(4, 16, 20)
    table = slot.settings.table
    expected = first * np.float32(table.init_scale) * np.float32(table.c_in[0])
    for row in call["sample"]:
        assert np.array_equal(row, expected.astype(dtype["sample"]))
    assert call["timestep"].tolist() == [999.0, 999.0]
    assert call["time_ids"].tolist() == [[128, 160, 0, 0, 128, 160]] * 2
    states, pooled = call["encoder_hidden_states"], call["text_embeds"]
    for row, source in enumerate(slot.sources):
        wanted = source.conditioning
        assert np.array_equal(states[row], wanted.states.astype(dtype["encoder_hidden_states"]))
        assert wanted.pooled is not None and np.array_equal(pooled[row], wanted.pooled)


def test_a_picture_is_denoised_by_its_table(device: CpuDevice, sdxl_bundle: Bundle) -> None:
    entry, batcher = sdxl_bundle.manifest.networks["unet"], OneAtATime()
    slot = slot_of(0, Request("", steps=4, seed=7, guidance=3.0), 1, 1)
    batcher.add(slot)
    told: list[int] = []
    loop = Loop(batcher, Runner(device, Echo(), entry, slots=1), lambda s: told.append(s.step))
    ticks = [loop.tick() for _ in range(4)]
    assert told == [1, 2, 3, 4]
    assert ticks[:3] == [[], [], []]
    ((finished, latent),) = ticks[3]
    assert finished is slot
    table = slot.settings.table
    x = normals(7, 0, 4 * 16 * 20).reshape(4, 16, 20).astype(np.float64) * table.init_scale
    for step in range(4):
        eps = 0.1 * table.c_in[step] * x  # weights of 3 and -2 on equal rows make 1
        noise = normals(7, int(table.draw[step]), 4 * 16 * 20).reshape(4, 16, 20)
        x = table.a[step] * x + table.b[step] * eps + table.c[step] * noise
    assert np.abs(latent - x).max() <= 1e-5 * np.abs(x).max()


def test_slots_of_one_size_share_calls_and_keep_apart(
    device: CpuDevice, sdxl_bundle: Bundle
) -> None:
    """The runner serves any batcher: here two pictures, one of them with a long prompt."""
    entry = sdxl_bundle.manifest.networks["unet"]
    requests = [(Request("", steps=2, seed=1), (2, 1)), (Request("", steps=3, seed=2), (1,))]
    alone = []
    for ticket, (request, chunks) in enumerate(requests):
        batcher, slot = OneAtATime(), slot_of(ticket, request, *chunks)
        batcher.add(slot)
        loop = Loop(batcher, Runner(device, Echo(), entry, slots=1))
        while batcher.waiting:
            alone += [latent for _, latent in loop.tick()]
    unet = Echo()
    runner = Runner(device, unet, entry, slots=2)
    slots = tuple(slot_of(t, request, *chunks) for t, (request, chunks) in enumerate(requests))
    for place, slot in enumerate(slots):
        slot.place = place
    for step in range(3):
        at_work = tuple(slot for slot in slots if not slot.finished)
        started = at_work if step == 0 else ()
        runner.run(Batch((16, 20), started, at_work, calls_of(at_work)))
        for slot in at_work:
            slot.step += 1
    assert [len(call["sample"]) for call in unet.calls] == [2, 1, 2, 1, 1]
    assert [call["encoder_hidden_states"].shape[1] for call in unet.calls[:2]] == [77, 154]
    for slot, expected in zip(slots, alone, strict=True):
        assert np.array_equal(runner.latent(slot), expected)
