"""A batch on a device: what the network is given, and what becomes of what it says."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sakuga.engine.backend.cpu import CpuDevice
from sakuga.engine.backend.network import Networks
from sakuga.engine.bundle import Bundle
from sakuga.engine.runtime.batcher import Batcher
from sakuga.engine.runtime.request import Defaults, Request
from sakuga.engine.runtime.resolve import resolve
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


class Sessions:
    """One network for every name."""

    def __init__(self, session: Echo) -> None:
        self._session = session

    def __call__(self, name: str) -> Echo:
        return self._session

    def close(self) -> None:
        pass


def run_to_the_end(
    bundle: Bundle, slots: list[Slot], places: int = 1
) -> tuple[list[NDArray[np.float32]], Echo]:
    """The final latents, and the network with what it was asked."""
    unet = Echo()
    device = CpuDevice(Networks.of(bundle), Sessions(unet), slots=places)
    batcher, runner, latents = Batcher(places, 63), Runner(device), {}
    for slot in slots:
        batcher.add(slot)
    while batcher.waiting:
        batch = batcher.next()
        runner.run(batch)
        for slot in batcher.done(batch):
            latents[slot] = device.lane(slot.latent).latent(slot.place)
            device.leave(slot.latent, slot.place)
    device.close()
    return [latents[slot] for slot in slots], unet


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
    rows = (tuple(sources),) * settings.table.evaluations
    return Slot(ticket, settings, lambda: rows)


@pytest.mark.parametrize("name", ["sdxl_bundle", "sdxl_fp16_bundle"])
def test_the_network_gets_what_its_border_says(name: str, request: pytest.FixtureRequest) -> None:
    bundle: Bundle = request.getfixturevalue(name)
    slot = slot_of(0, Request("", steps=3, seed=4), 1, 1)
    _, unet = run_to_the_end(bundle, [slot])
    call = unet.calls[0]
    dtype = {tensor.name: tensor.dtype for tensor in bundle.manifest.networks["unet"].inputs}
    assert {name: array.dtype.name for name, array in call.items()} == dtype
    first = normals(4, 0, 4 * 16 * 20).reshape(4, 16, 20)
    table = slot.settings.table
    expected = first * np.float32(table.init_scale) * np.float32(table.c_in[0])
    for row in call["sample"]:
        assert np.array_equal(row, expected.astype(dtype["sample"]))
    for call, timestep in zip(unet.calls, table.timestep, strict=True):
        assert call["timestep"].tolist() == [np.float32(timestep)] * 2
        assert call["time_ids"].tolist() == [[128, 160, 0, 0, 128, 160]] * 2
        for row, source in enumerate(slot.rows[0]):
            wanted = source.conditioning
            states = wanted.states.astype(dtype["encoder_hidden_states"])
            assert np.array_equal(call["encoder_hidden_states"][row], states)
            assert wanted.pooled is not None
            assert np.array_equal(call["text_embeds"][row], wanted.pooled)


def test_a_picture_is_denoised_by_its_table(sdxl_bundle: Bundle) -> None:
    slot = slot_of(0, Request("", steps=4, seed=7, guidance=3.0), 1, 1)
    (latent,), _ = run_to_the_end(sdxl_bundle, [slot])
    table = slot.settings.table
    x = normals(7, 0, 4 * 16 * 20).reshape(4, 16, 20).astype(np.float64) * table.init_scale
    for step in range(4):
        eps = 0.1 * table.c_in[step] * x  # weights of 3 and -2 on equal rows make 1
        noise = normals(7, int(table.draw[step]), 4 * 16 * 20).reshape(4, 16, 20)
        x = table.a[step] * x + table.b[step] * eps + table.c[step] * noise
    assert np.abs(latent - x).max() <= 1e-5 * np.abs(x).max()


def requests() -> list[Slot]:
    """A long prompt, one with guidance off, one that joins late, one of another size."""
    return [
        slot_of(0, Request("", steps=2, seed=1), 2, 1),
        slot_of(1, Request("", steps=3, seed=2), 1),
        slot_of(2, Request("", steps=4, seed=3), 1, 1),
        slot_of(3, Request("", steps=2, seed=3, width=128), 1, 3),
    ]


def test_pictures_share_calls_and_keep_apart(sdxl_bundle: Bundle) -> None:
    alone = [run_to_the_end(sdxl_bundle, [slot])[0][0] for slot in requests()]
    together, unet = run_to_the_end(sdxl_bundle, requests(), places=2)
    # The others are those of the check whether rows know of each other.
    calls = [call for call in unet.calls if call["timestep"].max() >= 1]
    assert [len(call["sample"]) for call in calls[:2]] == [2, 1]
    assert [call["encoder_hidden_states"].shape[1] for call in calls[:2]] == [77, 154]
    assert max(len(call["sample"]) for call in calls) == 3
    for found, expected in zip(together, alone, strict=True):
        assert np.array_equal(found, expected)


def test_conditioning_and_weights_follow_the_step(sdxl_bundle: Bundle) -> None:
    """Three prompts of which one changes, weighed otherwise at each step: what AND and editing do,
    and more."""
    slot = slot_of(0, Request("", steps=4, seed=7), 1, 1)
    changes = [conditioning(seed) for seed in (50, 50, 51, 50)]
    steady, other = conditioning(60), conditioning(61, 2)
    weights = [(3.0, 2.0, -4.0), (1.0, 1.0, 1.0), (0.5, 0.0, 2.0), (1.0, -1.0, 1.0)]
    slot.rows = tuple(
        tuple(map(RowSource, (change, steady, other), each))
        for change, each in zip(changes, weights, strict=True)
    )
    (latent,), unet = run_to_the_end(sdxl_bundle, [slot])
    states = [call["encoder_hidden_states"] for call in unet.calls]
    assert [array.shape[:2] for array in states] == [(2, 77), (1, 154)] * 4
    for step, change in enumerate(changes):
        assert np.array_equal(states[2 * step], [change.states, steady.states])
        assert np.array_equal(states[2 * step + 1], [other.states])
    table = slot.settings.table
    x = normals(7, 0, 4 * 16 * 20).reshape(4, 16, 20).astype(np.float64) * table.init_scale
    for step in range(4):
        eps = 0.1 * table.c_in[step] * x * sum(weights[step])
        noise = normals(7, int(table.draw[step]), 4 * 16 * 20).reshape(4, 16, 20)
        x = table.a[step] * x + table.b[step] * eps + table.c[step] * noise
    assert np.abs(latent - x).max() <= 1e-5 * np.abs(x).max()
